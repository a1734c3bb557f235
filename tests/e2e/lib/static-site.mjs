// An application of static files, as servers send them: hashed assets for good, others by validators or by heuristics.
//
// `requests` is what reached it.

import http from 'node:http';

import { close, listen } from './network.mjs';

const LONG_AGO = 'Thu, 01 Jan 2015 00:00:00 GMT';
const KILOBYTE = 'a'.repeat(1_000);

/** Cache fields and size of each file; every one but the page is what a second visit should not load again. */
const FILES = {
  '/static/': { type: 'text/html; charset=utf-8', kilobytes: 20, fields: {} },
  '/static/hashed.js': { type: 'text/javascript', kilobytes: 300, fields: { 'cache-control': 'public, max-age=31536000, immutable' } },
  '/static/hour.js': { type: 'text/javascript', kilobytes: 200, fields: { 'cache-control': 'max-age=3600, s-maxage=60' } },
  '/static/heuristic.css': { type: 'text/css', kilobytes: 100, fields: { 'last-modified': LONG_AGO } },
  '/static/expires.css': { type: 'text/css', kilobytes: 100, fields: { expires: 'Thu, 01 Jan 2099 00:00:00 GMT' } },
  '/static/validated.js': { type: 'text/javascript', kilobytes: 200, fields: { 'cache-control': 'no-cache', etag: '"v1"' } },
  '/static/silent.js': { type: 'text/javascript', kilobytes: 200, fields: { etag: '"v1"' } },
};

const PAGE = `<!doctype html><html lang="en"><title>Static</title><link rel="icon" href="data:,">
  ${Object.keys(FILES).filter((path) => path.endsWith('.css')).map((path) => `<link rel="stylesheet" href="${path}">`).join('')}
  <h1>Static</h1>
  ${Object.keys(FILES).filter((path) => path.endsWith('.js')).map((path) => `<script src="${path}"></script>`).join('')}`;

/** Starts the application. */
export async function startStaticSite() {
  const requests = [];
  const server = http.createServer((req, res) => {
    requests.push({ method: req.method, url: req.url, headers: req.headers });
    const file = FILES[req.url];
    if (!file) return res.writeHead(200, { 'content-type': 'text/html', 'cache-control': 'no-store' }).end('<!doctype html><title>Other</title>');
    if (file.fields.etag && req.headers['if-none-match'] === file.fields.etag) return res.writeHead(304, file.fields).end();
    const filling = KILOBYTE.repeat(file.kilobytes);
    const body = file.type.startsWith('text/html') ? `${PAGE}<!-- ${filling} -->` : `/* ${filling} */`;
    return res.writeHead(200, { 'content-type': file.type, 'content-length': body.length, ...file.fields }).end(body);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    /** The requests for a path. */
    to: (path) => requests.filter(({ url }) => url === path),
    stop: () => close(server),
  };
}
