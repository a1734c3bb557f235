// Pages of other origins and sites that send forms and links here.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { close, listen } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
let foreign;
let foreignPort;
before(async () => {
  stack = await startStack();
  foreign = http.createServer((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/html' });
    res.end(`<!doctype html><link rel="icon" href="data:,"><title>Win a prize</title>
      <form method="post" action="${stack.origin}/form"><input name="note" value="forged"><button>Win</button></form>
      <a href="${stack.origin}/linked">Look</a> <a id="signout" href="${stack.origin}/oauth/signout">Out</a>`);
  });
  foreignPort = await listen(foreign);
});
after(async () => {
  await stack?.stop();
  await close(foreign);
});

const forgedPosts = () => stack.upstream.to('/form').filter(({ method }) => method === 'POST').length;

test('a form of another origin of the same site is refused, though the cookie comes with it', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  await person.page.goto(`http://127.0.0.1:${foreignPort}/`); // another port: another origin, the same site

  const [answer] = await Promise.all([person.page.waitForResponse(`${stack.origin}/form`), person.page.getByRole('button').click()]);

  assert.equal(answer.status(), 403);
  assert.equal(await person.page.locator('h1').textContent(), 'This request was refused');
  assert.match(await person.page.locator('body').textContent(), /csrf_rejected/);
  assert.equal(forgedPosts(), 0);
});

test('a form of another site brings no session and reaches nothing', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  await person.page.goto(`http://localhost:${foreignPort}/`);

  const [answer] = await Promise.all([person.page.waitForResponse(`${stack.origin}/form`), person.page.getByRole('button').click()]);

  assert.ok([401, 403].includes(answer.status()), `${answer.status()}`);
  assert.equal(forgedPosts(), 0);
});

test('a script of another origin changes nothing, with or without asking first', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  await person.page.goto(`http://127.0.0.1:${foreignPort}/`);
  const attempt = (headers) => person.page.evaluate(async ([url, headers]) => {
    try {
      return (await fetch(url, { method: 'POST', mode: headers ? 'cors' : 'no-cors', credentials: 'include', headers })).type;
    } catch {
      return 'blocked';
    }
  }, [`${stack.origin}/form`, headers]);

  const simple = await attempt();
  const asking = await attempt({ 'x-csrf': '1' });

  assert.equal(simple, 'opaque', 'sent, and the answer withheld');
  assert.equal(asking, 'blocked');
  assert.equal(forgedPosts(), 0);
});

test('a link of another site works: the session comes along', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  await person.page.goto(`http://localhost:${foreignPort}/`);

  await person.page.getByRole('link', { name: 'Look' }).click();
  await person.page.waitForURL(`${stack.origin}/linked`);

  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
});

test('a link of another site signs nobody out: it asks', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  await person.page.goto(`http://localhost:${foreignPort}/`);

  await person.page.locator('#signout').click();
  await person.page.waitForURL(`${stack.origin}/oauth/signout`);
  const title = await person.page.locator('h1').textContent();
  await person.page.goto(`${stack.origin}/still`);

  assert.equal(title, 'Sign out?');
  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
});
