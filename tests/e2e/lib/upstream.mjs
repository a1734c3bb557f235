// The legacy web application behind the proxy: it knows cookies, forms and headers, and nothing of OpenID.
//
// `requests` is what reached it. Its stream sends what a test tells it to, when it tells it.

import { createHash } from 'node:crypto';
import http from 'node:http';

import { close, listen } from './network.mjs';

/** Starts the application. */
export async function startUpstream() {
  const requests = [];
  const streams = [];
  const server = http.createServer((req, res) => {
    requests.push({ method: req.method, url: req.url, headers: req.headers });
    const [pathname] = req.url.split('?'); // a URL parser would take what follows two slashes for a host
    const answer = PAGES[`${req.method} ${pathname}`] ?? legacyPage;
    return answer(req, res, streams);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    /** The requests for a path, whatever their query. */
    to: (pathname) => requests.filter(({ url }) => url.split('?')[0] === pathname),
    /** Writes an event into every open stream. */
    send: (text) => streams.forEach((stream) => stream.write(`data: ${text}\n\n`)),
    streams,
    stop: () => close(server),
    /** Listens again where it listened before. */
    restart: () => listen(server, port),
  };
}

const PAGES = {
  'GET /form': (_req, res) => html(res, 200, '<h1>Form</h1><form method="post" action="/form"><input name="note"><button>Send</button></form>'),
  'POST /form': async (req, res) => {
    const note = new URLSearchParams((await read(req)).toString()).get('note');
    res.writeHead(303, { location: `/form/thanks?note=${encodeURIComponent(note)}`, 'set-cookie': 'legacy-flash=saved; Path=/' }).end();
  },
  'GET /upload': (_req, res) => html(res, 200, '<h1>Upload</h1><form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="file"><button>Send</button></form>'),
  'POST /upload': async (req, res) => {
    const { bytes, sha256 } = fileOf(await read(req), req.headers['content-type']);
    html(res, 200, `<h1>Received</h1><p id="bytes">${bytes}</p><p id="sha256">${sha256}</p>`);
  },
  'GET /events': (_req, res, streams) => {
    res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    res.write(': open\n\n');
    const stream = { isOpen: true, write: (text) => res.write(text) };
    res.on('close', () => {
      stream.isOpen = false;
    });
    streams.push(stream);
  },
  'GET /live': (_req, res) => html(res, 200, `<h1>Live</h1><ul></ul><script>
    new EventSource('/events').onmessage = ({ data }) => {
      document.querySelector('ul').append(Object.assign(document.createElement('li'), { textContent: data }));
    };</script>`),
  'GET /cookies': (_req, res) => {
    res.setHeader('set-cookie', ['legacy-a=1; Path=/', 'legacy-b=2; Path=/; HttpOnly', 'legacy-c=3; Path=/; SameSite=Strict', 'oauth-proxy-session=forged; Path=/']);
    html(res, 200, '<h1>Cookies set</h1>');
  },
  'GET /favicon.ico': (_req, res) => res.writeHead(204).end(),
};

/** Any other page: it greets by the headers it got and shows where one is. */
function legacyPage(req, res) {
  const name = req.headers['x-proxy-id-token-name'] ?? 'nobody';
  html(res, 200, `<h1>Hello ${name}</h1><p id="url">${escape(req.url)}</p><p id="cookies">${escape(req.headers.cookie ?? '')}</p>
    <a id="next" href="/next">Next page</a>`);
}

function html(res, status, body) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  res.end(`<!doctype html><html lang="en"><title>Legacy app</title><link rel="icon" href="data:,">${body}</html>`);
}

async function read(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The one file of a multipart body (RFC 7578): what stands between its header's blank line and its boundary. */
function fileOf(body, contentType) {
  const boundary = contentType.match(/boundary=(.+)$/)[1];
  const begin = body.indexOf('\r\n\r\n') + 4;
  const content = body.subarray(begin, body.lastIndexOf(`\r\n--${boundary}--`));
  return { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
