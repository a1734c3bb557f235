// An application of forms: it keeps the bytes of everything that is posted to it.

import http from 'node:http';

import { close, listen } from './network.mjs';

const FIELDS = `<input name="note"><textarea name="text"></textarea><input type="hidden" name="submit" value="a field by this name">
  <input type="hidden" name="tricky" value='"><script>1</script>&amp;amp;'>`;

const FORMS = {
  '/form': { charset: 'utf-8', enctype: 'application/x-www-form-urlencoded', fields: FIELDS },
  '/latin': { charset: 'windows-1252', enctype: 'application/x-www-form-urlencoded', fields: FIELDS },
  '/latin-parts': { charset: 'windows-1252', enctype: 'multipart/form-data', fields: FIELDS },
  '/upload': { charset: 'utf-8', enctype: 'multipart/form-data', fields: `${FIELDS}<input type="file" name="file">` },
  '/plain': { charset: 'utf-8', enctype: 'text/plain', fields: FIELDS },
};

/** Starts the application. `posts` is what reached it: { url, headers, body }. */
export async function startFormsApp() {
  const posts = [];
  const server = http.createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const { pathname } = new URL(req.url, 'http://app');
    if (req.method === 'POST') posts.push({ url: req.url, headers: req.headers, body: Buffer.concat(chunks) });
    const form = FORMS[pathname];
    const isForm = req.method === 'GET' && form;
    res.writeHead(200, { 'content-type': `text/html; charset=${form?.charset ?? 'utf-8'}` });
    res.end(`<!doctype html><html lang="en"><title>Forms</title><link rel="icon" href="data:,">${isForm ? formOf(req.url, form) : '<h1>Received</h1>'}</html>`);
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, posts, stop: () => close(server) };
}

/** A form as this application has it, for a page of any origin. */
export function formOf(action, { enctype, fields }) {
  return `<h1>Form</h1><form method="post" action="${action}" enctype="${enctype}">${fields}<button>Save</button></form>`;
}

export const formAt = (pathname) => FORMS[pathname];

/** A body without what each sending chooses anew: the boundary between its parts. */
export function plainBody({ headers, body }) {
  const boundary = headers['content-type'].match(/boundary=(.+)$/)?.[1];
  const text = body.toString('latin1');
  return boundary ? text.replaceAll(boundary, 'BOUNDARY') : text;
}
