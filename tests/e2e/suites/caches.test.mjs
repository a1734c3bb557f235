// The browser's cache: a second visit is as cheap as without the proxy, and nothing of it is left for the
// next person.
//
// All of it on http://127.0.0.1, which browsers trust: Chromium keeps nothing from behind a certificate that it was told to
// ignore, and obeys Clear-Site-Data on trustworthy origins only.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startBrowser } from '../lib/browser.mjs';
import { until } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';
import { startStaticSite } from '../lib/static-site.mjs';

const SESSION = 'oauth-proxy-session';
const CACHED = ['/static/hashed.js', '/static/hour.js', '/static/heuristic.css', '/static/expires.css'];
const REVALIDATED = ['/static/validated.js', '/static/silent.js'];

let site;
let stack;
before(async () => {
  site = await startStaticSite();
  // The cookie slides after a tenth of the idle time.
  stack = await startStack({ settings: { UPSTREAM_URL: site.url, SESSION_IDLE_TIMEOUT: '60s' } });
});
after(async () => {
  await stack?.stop();
  await site?.stop();
});

/** The bytes that a visit of the page brings over the wire, headers and all, and the files that the server was asked for. */
async function visit({ page }, url) {
  const network = await page.context().newCDPSession(page);
  let bytes = 0;
  network.on('Network.loadingFinished', ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  await network.send('Network.enable');
  const { length } = site.requests;
  await page.goto(url, { waitUntil: 'networkidle' });
  await network.detach();
  return { bytes, asked: site.requests.slice(length).map((request) => request.url) };
}

async function secondVisitWithout(t) {
  const person = await stack.person(t);
  await visit(person, `${site.url}/static/`);
  return visit(person, `${site.url}/static/`);
}

/** Signs out of the provider alone: the next sign-in there asks for a password again. */
function forgetAtProvider({ context }) {
  return context.clearCookies({ domain: 'localhost' });
}

/** The session is over for the browser, as after its end or a restart of the browser. */
function forgetSession({ context }) {
  return context.clearCookies({ name: SESSION });
}

const page = () => `${stack.origin}/static/`;

test('a second visit loads what it loads without the proxy, also after the cookie slid', async (t) => {
  const without = await secondVisitWithout(t);
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/done`);

  const first = await visit(person, page());
  const second = await visit(person, page());
  const before = (await person.cookies(stack.origin))[SESSION];
  await until('the cookie slides', async () => {
    await person.fetch('/elsewhere');
    return (await person.cookies(stack.origin))[SESSION] !== before;
  });
  const third = await visit(person, page());

  t.diagnostic(`bytes: without ${without.bytes}, first ${first.bytes}, second ${second.bytes}, slid ${third.bytes}`);
  assert.ok(first.bytes > 1_000_000, `${first.bytes}`);
  for (const { bytes, asked } of [second, third]) {
    assert.ok(bytes <= 1.1 * without.bytes, `${bytes} instead of ${without.bytes}`);
    assert.deepEqual(asked.toSorted(), without.asked.toSorted());
    assert.deepEqual(asked.filter((path) => path !== '/static/').toSorted(), REVALIDATED.toSorted());
  }
});

test('a person who signs in again keeps the cache', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/done`);
  await visit(person, page());

  await forgetSession(person);
  await forgetAtProvider(person);
  await person.signIn(ALICE, `${stack.origin}/done`);
  const { asked } = await visit(person, page());

  assert.deepEqual(asked.filter((path) => CACHED.includes(path)), []);
});

test('another person who signs in gets nothing that the first one loaded', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/done`);
  await visit(person, page());

  await forgetSession(person);
  await forgetAtProvider(person);
  await person.signIn(BOB, `${stack.origin}/done`);
  const { asked } = await visit(person, page());

  assert.deepEqual(CACHED.filter((path) => !asked.includes(path)), []);
});

test('a sign-out leaves nothing in the cache', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/done`);
  await visit(person, page());
  const kept = await visit(person, `${stack.origin}/static/hour.js`);
  const isKept = !kept.asked.includes('/static/hour.js');
  const { logout_url: logoutUrl } = JSON.parse((await person.fetch('/oauth/me')).body);

  await person.page.goto(stack.origin + logoutUrl);
  await forgetAtProvider(person);
  await person.page.goto(`${stack.origin}/static/hour.js`);

  assert.ok(isKept, 'it came from the cache before');
  assert.equal(new URL(person.page.url()).host, new URL(stack.provider.issuer).host);
});

test('after a sign-out Back shows no page of the person, though the browser keeps pages for it', async (t) => {
  const browser = await startBrowser({ backForwardCache: true });
  t.after(() => browser.stop());
  const person = await browser.person();
  await person.signIn(ALICE, `${stack.origin}/done`);
  await person.page.goto(page());
  await person.page.goto(`${stack.origin}/static/hour.js`);
  const network = await person.page.context().newCDPSession(person.page);
  const back = async () => {
    const { currentIndex, entries } = await network.send('Page.getNavigationHistory');
    await network.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1].id });
  };
  const { length } = site.to('/static/');
  await back();
  await until('Back shows the page', () => person.page.url() === page());
  assert.equal(site.to('/static/').length, length, 'without a request');

  await person.fetch('/oauth/signout', { method: 'POST' });
  await forgetAtProvider(person);
  const cleared = person.page.waitForResponse((response) => response.request().resourceType() === 'image');
  await person.page.goto(`${stack.origin}/oauth/signedout`);
  await cleared;
  await back();

  await until('Back leads to the provider', () => person.page.url().startsWith(stack.provider.issuer));
});
