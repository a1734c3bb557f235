// The demo, as someone who tries it for the first time walks through it.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { startBrowser } from '../lib/browser.mjs';
import { start } from '../lib/process.mjs';

const PROGRAM = path.resolve(import.meta.dirname, '../../../target/debug/demo');
const STRIP = '#events li b';

let demo;
let browser;
let origin;
before(async () => {
  demo = start(PROGRAM, ['--port', '0']);
  await demo.until('the demo listens', () => /Open\s+http:/.test(demo.output()), 30_000);
  origin = /Open\s+(http:\S+)/.exec(demo.output())[1];
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await demo?.stop();
});

async function someone(t, options) {
  const person = await browser.person(options);
  t.after(() => person.close());
  return person;
}

async function press(page, name) {
  await page.getByRole('button', { name, exact: true }).click();
}

async function signIn(page, name = 'Ada Lovelace') {
  await page.goto(origin);
  await page.getByRole('button', { name: new RegExp(name) }).click();
  await page.getByRole('heading', { name: `Hello, ${name}` }).waitFor();
}

test('the page tells the sign-in, opens the record, and survives what is broken', async (t) => {
  const { page } = await someone(t);
  await signIn(page);
  const outcome = (name) => page.locator('.outcome', { hasText: name }).waitFor();

  await page.locator(STRIP, { hasText: 'sealed cookie' }).waitFor();
  const told = await page.locator(STRIP).allTextContents();
  const colours = await page.locator('#events li').evaluateAll((items) => [...new Set(items.map((item) => item.classList[0]))]);
  await press(page, 'Show my cookie');
  await outcome('Your cookie');
  await press(page, 'Show the stored record');
  await outcome('The stored record');
  const record = await page.locator('#look-result pre').textContent();
  await press(page, 'Open it with the database and both keys');
  await outcome('Sealed');
  await press(page, 'Open it with the cookie');
  await outcome('Open');
  const opened = await page.locator('#look-result').textContent();

  await press(page, 'Refresh it now');
  await page.locator(STRIP, { hasText: 'refresh' }).waitFor();
  await press(page, 'Steal the cookie');
  await outcome('The thief is let in');
  await press(page, 'Let my session end');
  await outcome('Your session has ended');
  await page.locator(STRIP, { hasText: 'tombstone' }).waitFor();
  await press(page, 'Open it with the cookie');
  await outcome('Nothing to open');

  // Each process tells by itself, so neighbours may change places.
  const expected = ['redirect', 'form', 'code', 'tokens', 'sealed record', 'sealed cookie', 'request'];
  assert.deepEqual(told.sort(), expected.sort());
  assert.deepEqual(colours.sort(), ['app', 'handler', 'provider']);
  assert.equal(await page.locator('#events li.browser').count(), 1, 'the thief is a browser');
  assert.match(record, /"ciphertext"/);
  assert.doesNotMatch(record, /\bada\b|Lovelace|eyJhbGciOi/, 'a token or a name in the stored record');
  assert.match(opened, /"sub": "ada"/);
});

test('a stolen cookie is of no use after the sign-out', async (t) => {
  const { page } = await someone(t);
  // Ada's sessions have just been ended by the provider: a sign-in of hers in the same second counts as under way.
  await signIn(page, 'Grace Hopper');
  await press(page, 'Steal the cookie');
  await page.locator('.outcome', { hasText: 'The thief is let in' }).waitFor();
  await press(page, 'Sign out');
  await page.getByRole('heading', { name: 'You are signed out' }).waitFor();

  await signIn(page, 'Grace Hopper');
  await press(page, 'Steal the cookie');
  await page.locator('.outcome', { hasText: 'The thief is let in' }).waitFor();
  const other = await page.context().newPage();
  await other.goto(origin);
  await press(other, 'Sign out');
  await other.getByRole('heading', { name: 'You are signed out' }).waitFor();
  await press(page, 'Use the stolen cookie again');

  await page.locator('.outcome', { hasText: 'The thief stays outside' }).waitFor();
});

test('Cancel at the provider leads to a page of the handler', async (t) => {
  const { page } = await someone(t);
  await page.goto(origin);

  await press(page, 'Cancel');

  await page.waitForURL(/\/oauth\/callback/);
  assert.equal(await page.locator('h1').count(), 1);
  assert.match(demo.output(), /login_cancelled|access_denied/);
});

test('without scripts the page explains itself, and buttons lead to pages', async (t) => {
  const { page } = await someone(t, { javaScriptEnabled: false });
  await signIn(page);
  assert.match(await page.locator('#events').textContent(), /sealed cookie/);

  await press(page, 'Open it with the database and both keys');
  await page.getByRole('heading', { name: 'Sealed' }).waitFor();
  await page.getByRole('link', { name: 'back to the application' }).click();

  await page.getByRole('heading', { name: 'Hello, Ada Lovelace' }).waitFor();
});

test('while the provider is stopped the session lives on', async (t) => {
  const { page } = await someone(t);
  await signIn(page);

  await press(page, 'Stop the Provider for 20 s');
  await page.locator('.outcome', { hasText: 'stopped for 20 s' }).waitFor();
  await press(page, 'Refresh it now');
  await page.getByText('the session lives on').first().waitFor();
  const during = await page.evaluate(async () => (await fetch('/identity')).status);

  assert.equal(during, 200);
});
