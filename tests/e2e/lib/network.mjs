// Ports, raw HTTP requests and waiting for a condition: what every other part of the kit stands on.
//
// Requests go through node:http, because fetch() adds Sec-Fetch-* headers and folds Set-Cookie.

import { randomInt } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const LIMIT_MS = 30_000;
const BETWEEN_MS = 25;

/**
 * A port of 127.0.0.1 that nobody listened on a moment ago. It is below those that the system gives to connections, which
 * could take it before its program listens.
 */
export async function freePort() {
  for (;;) {
    const server = net.createServer();
    const port = randomInt(11_000, 32_768); // browsers refuse 10080
    const isFree = await listen(server, port).then(() => true, () => false);
    if (!isFree) continue;
    await close(server);
    return port;
  }
}

/** Listens on 127.0.0.1; port 0 takes a free one. Returns the port. */
export function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve(server.address().port);
    });
  });
}

/** Stops listening and drops open connections. */
export function close(server) {
  return new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections?.();
  });
}

/** Polls until `condition` gives something true, and returns that. `what` names it when the limit is reached. */
export async function until(what, condition, limitMs = LIMIT_MS) {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`after ${limitMs} ms still waiting: ${what}`);
    await pause(BETWEEN_MS);
  }
}

/**
 * One request, byte for byte as given: no redirect is followed, no cookie kept, no header added but Host.
 * Resolves to { status, headers, setCookies, text, json() }.
 */
export function request(url, { method = 'GET', headers = {}, body } = {}) {
  const { request: send } = url.startsWith('https:') ? https : http;
  return new Promise((resolve, reject) => {
    const options = { method, headers, agent: false, lookup: onLoopback, rejectUnauthorized: false };
    const outgoing = send(url, options, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: answer.statusCode,
          headers: answer.headers,
          setCookies: answer.headers['set-cookie'] ?? [],
          text,
          json: () => JSON.parse(text),
        });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Every name is this machine, as it is for the browser. */
function onLoopback(_name, { all }, callback) {
  return all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4);
}

/** The headers of a browser that opens a page. */
export const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'none', 'sec-fetch-dest': 'document' };

/** The headers of a script on a page of the same origin. */
export const FETCH = { accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-site': 'same-origin', 'sec-fetch-dest': 'empty' };
