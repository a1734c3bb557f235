// A signed-in person at the legacy application: forms, uploads, streams, its own cookies.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';

import { until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

test('a form post and its redirect go through, with what was typed', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/form`);

  await person.page.locator('input').fill('Grüße & more=1');
  await person.page.getByRole('button', { name: 'Send' }).click();
  await person.page.waitForURL(/\/form\/thanks/);

  assert.equal(await person.page.locator('#url').textContent(), '/form/thanks?note=Gr%C3%BC%C3%9Fe%20%26%20more%3D1');
  assert.match(await person.page.locator('#cookies').textContent(), /legacy-flash=saved/);
});

test('an upload of 8 MB arrives byte for byte', async (t) => {
  const person = await stack.person(t);
  const buffer = randomBytes(8 * 1024 * 1024);
  await person.signIn(ALICE, `${stack.origin}/upload`);

  await person.page.locator('input').setInputFiles({ name: 'random.bin', mimeType: 'application/octet-stream', buffer });
  await person.page.getByRole('button', { name: 'Send' }).click();

  assert.equal(await person.page.locator('#bytes').textContent(), `${buffer.length}`);
  assert.equal(await person.page.locator('#sha256').textContent(), createHash('sha256').update(buffer).digest('hex'));
});

test('a stream arrives event by event, while it is open', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/live`);
  await until('the stream is open', () => stack.upstream.streams.length > 0);

  // The next event is sent only when the page shows the one before it: nothing can be held back.
  for (const word of ['one', 'two', 'three']) {
    stack.upstream.send(word);
    await person.page.getByRole('listitem').filter({ hasText: word }).waitFor();
  }

  assert.deepEqual(await person.page.getByRole('listitem').allTextContents(), ['one', 'two', 'three']);
});

test('a stream that the browser leaves is closed at the application when it writes on', async (t) => {
  const person = await stack.person(t);
  const known = stack.upstream.streams.length;
  await person.signIn(ALICE, `${stack.origin}/live`);
  const stream = await until('the stream is open', () => stack.upstream.streams[known]);

  await person.page.goto(`${stack.origin}/elsewhere`);

  await until('the application sees the end', () => {
    stream.write(': anyone there?\n\n');
    return !stream.isOpen;
  });
});

test('the application sets several cookies and none of ours', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const ours = (await person.cookies(stack.origin))['oauth-proxy-session'];

  await person.page.goto(`${stack.origin}/cookies`);
  const kept = await person.cookies(stack.origin);
  await person.page.goto(`${stack.origin}/after`);

  assert.deepEqual([kept['legacy-a'], kept['legacy-b'], kept['legacy-c']], ['1', '2', '3']);
  assert.equal(kept['oauth-proxy-session'], ours, 'the application tried to overwrite it');
  assert.match(await person.page.locator('#cookies').textContent(), /legacy-a=1.*legacy-b=2/);
});

test('pages of a signed-in person are kept by no shared cache, and asked for again', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);

  const answer = await person.page.goto(`${stack.origin}/private`);

  const headers = await answer.allHeaders();
  assert.equal(headers['cache-control'], 'private, no-cache');
});
