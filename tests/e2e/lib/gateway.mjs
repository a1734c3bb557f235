// A stand-in for API Management: https under the public name, and a private prefix before every path on the way to the
// Functions host, so that the application's own /admin is not the host's.

import http from 'node:http';
import https from 'node:https';

import { close, listen } from './network.mjs';
import { certificate, fingerprint, NAME } from './tls-front.mjs';

/** Hands every request on to `port`, below `prefix`. It passes no sockets: neither does the host behind it. */
export async function startGateway(port, prefix) {
  const pair = await certificate(`DNS:${NAME}`);
  const server = https.createServer(pair, (req, res) => {
    const { method, rawHeaders: headers } = req;
    const options = { host: '127.0.0.1', port, method, path: `/${prefix}${req.url}`, headers, agent: false };
    const outgoing = http.request(options, (response) => {
      res.writeHead(response.statusCode, response.rawHeaders);
      response.pipe(res);
      response.on('error', () => res.destroy());
    });
    outgoing.on('error', () => res.destroy());
    res.on('close', () => outgoing.destroy());
    req.pipe(outgoing);
  });
  return {
    origin: `https://${NAME}:${await listen(server)}`,
    fingerprint: fingerprint(pair.cert),
    stop: () => close(server),
  };
}
