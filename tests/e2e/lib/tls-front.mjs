// The TLS front before the application: https under a name of its own, with a certificate made on the spot.

import { execFile } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';

import { close, listen } from './network.mjs';

/** The public name; the browser finds it on loopback by its flags. */
export const NAME = 'app.example';

/** Ends TLS and hands the bytes on to `port`. */
export async function startTlsFront(port) {
  const sockets = new Set();
  const pair = await certificate(`DNS:${NAME}`);
  const server = tls.createServer(pair, (socket) => {
    const inner = net.connect(port, '127.0.0.1');
    for (const [side, other] of [[socket, inner], [inner, socket]]) {
      sockets.add(side);
      side.pipe(other);
      side.on('error', () => other.destroy());
      side.on('close', () => {
        sockets.delete(side);
        other.destroy();
      });
    }
  });
  const outerPort = await listen(server);
  return {
    origin: `https://${NAME}:${outerPort}`,
    fingerprint: fingerprint(pair.cert),
    stop() {
      sockets.forEach((socket) => socket.destroy());
      return close(server);
    },
  };
}

/** The SHA-256 of a certificate's public key, as browsers and RFC 7469 write it. */
export function fingerprint(cert) {
  const key = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

/** A key and a certificate that signed itself, for this subject alternative name. */
export async function certificate(name) {
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-tls-'));
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(folder, name));
  try {
    await promisify(execFile)('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
      '-subj', `/CN=${NAME}`, '-addext', `subjectAltName=${name}`, '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', key, '-out', cert,
    ]);
    return { key: await readFile(key), cert: await readFile(cert) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
