// Forms that pages of other sites post: payment returns, SAML responses, launches. Over https, where the session's
// cookie is what it is in real life: __Host-, Secure, SameSite=Lax.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { formAt, formOf, plainBody, startFormsApp } from '../lib/forms-app.mjs';
import { close, listen } from '../lib/network.mjs';
import { checkPage } from '../lib/page-checks.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const NOTE = 'PHNhbWw+\u{fc} € "&=';

let app;
let stack;
let foreign;
let foreignPort;
before(async () => {
  app = await startFormsApp();
  const routes = [{ path: '/', upstream: app.url }, { path: '/pay', upstream: app.url, cross_site: 'allow' }];
  stack = await startStack({ https: true, settings: { UPSTREAM_URL: '', ROUTES: JSON.stringify(routes) } });
  // `/pay/return?like=/latin` is a page with that form, which it posts to `/pay/return` of the application.
  foreign = http.createServer((req, res) => {
    const { pathname, searchParams } = new URL(req.url, 'http://foreign');
    const form = formAt(searchParams.get('like') ?? '/form');
    res.writeHead(200, { 'content-type': `text/html; charset=${form.charset}` });
    res.end(`<!doctype html><link rel="icon" href="data:,">${formOf(stack.origin + pathname, form)}`);
  });
  foreignPort = await listen(foreign);
});
after(async () => {
  await stack?.stop();
  await app?.stop();
  await close(foreign);
});

const save = (page) => page.getByRole('button', { name: 'Save' }).click();
const received = (page) => page.getByRole('heading', { name: 'Received' }).waitFor();

/** Opens the page of the other site, and fills its form in. */
async function openForeign(page, pathname, like, host = 'localhost') {
  await page.goto(`http://${host}:${foreignPort}${pathname}?like=${like}`);
  await page.locator('[name=note]').fill(NOTE);
  await page.locator('textarea').fill('line 1\nline 2');
}

for (const like of ['/form', '/latin', '/latin-parts', '/upload']) {
  test(`a form like ${like} arrives once, with the session, as if it came from the application`, async (t) => {
    const person = await stack.person(t);
    const { page } = person;
    await person.signIn(ALICE, stack.origin + like);
    await page.locator('[name=note]').fill(NOTE);
    await page.locator('textarea').fill('line 1\nline 2');
    await save(page);
    await received(page);
    const expected = app.posts.at(-1);
    const { length } = app.posts;

    await openForeign(page, '/pay/return', like);
    await save(page);
    await received(page);

    const [arrived, ...more] = app.posts.slice(length);
    assert.deepEqual(more, []);
    assert.equal(plainBody(arrived), plainBody(expected));
    assert.equal(arrived.headers['x-proxy-id-token-name'], ALICE.name);
    assert.equal(arrived.headers.origin, stack.origin);
    assert.equal(page.url(), `${stack.origin}/pay/return`);
  });
}

test('Back leads to the other site, not into the page between', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/form`);
  await openForeign(person.page, '/pay/return', '/form');
  await save(person.page);
  await received(person.page);

  await person.page.goBack();

  assert.equal(new URL(person.page.url()).host, `localhost:${foreignPort}`);
});

test('a browser without scripts has a button', async (t) => {
  const person = await stack.person(t);
  const { page } = person;
  await person.signIn(ALICE, `${stack.origin}/form`);
  await openForeign(page, '/pay/return', '/form');
  await (await person.context.newCDPSession(page)).send('Emulation.setScriptExecutionDisabled', { value: true });
  const { length } = app.posts;

  await save(page);
  await page.getByRole('button', { name: 'Continue' }).click();
  await received(page);

  assert.equal(app.posts.length, length + 1);
});

test('someone who is not signed in signs in first, and the form is not lost', async (t) => {
  const person = await stack.person(t);
  const { page, context } = person;
  await openForeign(page, '/pay/return', '/form');
  const { length } = app.posts;

  await save(page);
  const [tab] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Sign in in a new tab' }).click()]);
  await person.giveCredentials(ALICE, tab);
  await tab.waitForURL(`${stack.origin}/oauth/resend`);
  await page.getByRole('button', { name: 'Send again' }).click();
  await page.getByRole('heading', { name: 'Send this form?' }).waitFor();
  await checkPage(page, 'send-this-form');
  await page.getByRole('button', { name: `Send as ${ALICE.name}` }).click();
  await received(page);

  assert.equal(app.posts.length, length + 1);
  assert.equal(new URLSearchParams(plainBody(app.posts.at(-1))).get('submit'), 'a field by this name');
});

test('every other route refuses such forms, and keeps nothing of them', async (t) => {
  const person = await stack.person(t);
  const { page } = person;
  await person.signIn(ALICE, `${stack.origin}/form`);
  const { length } = app.posts;
  await openForeign(page, '/form', '/form');

  await save(page);
  await page.getByRole('heading', { name: 'Your session has ended' }).waitFor();

  assert.match(await page.locator('p').first().textContent(), /may come from another site, so nothing of it was passed on or kept/);
  assert.equal(await page.getByRole('button').count(), 0);
  assert.equal(app.posts.length, length);
});

test('a form as text is refused on the route, too', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/form`);
  const { length } = app.posts;
  await openForeign(person.page, '/pay/return', '/plain');

  await save(person.page);
  await person.page.getByRole('heading', { name: 'Your session has ended' }).waitFor();

  assert.equal(app.posts.length, length);
});

test('a sibling of the same site, whose form brings the cookie, gets through directly', async (t) => {
  const person = await stack.person(t);
  const { page } = person;
  await person.signIn(ALICE, `${stack.origin}/form`);
  // Schemeful: https://other.app.example is the same site as https://app.example, and its own origin.
  await page.route('https://other.app.example/**', (route) => route.fulfill({
    contentType: 'text/html',
    body: `<!doctype html><link rel="icon" href="data:,">${formOf(`${stack.origin}/pay/return`, formAt('/form'))}`,
  }));
  await page.goto('https://other.app.example/');
  const { length } = app.posts;

  await save(page);
  await received(page);

  assert.equal(app.posts.length, length + 1);
  assert.equal(app.posts.at(-1).headers.origin, 'https://other.app.example');
});
