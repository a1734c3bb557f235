// URLs as Chromium has them in its address bar: kept over a sign-in with a form and over a silent one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { checkPage } from '../lib/page-checks.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';
import HOSTILE from '../../vectors/hostile_return_urls.json' with { type: 'json' };

/** Typed, and not what the address bar makes of them: that is Chromium's to say. */
const ADDRESSES = [
  '/list?filter[status]=open',
  '/a?b=x|y&c=^`{}[]\\\'"<>',
  '/a[0]|b/{c}^`\'',
  '/api/datasources/proxy/2//search',
  '//search?q=1',
  '/image/https%3A%2F%2Fh%2Fa.png',
  '/D%5Cuser/100%25?q=100%',
  '/ü ö?ä=ß €',
];

describe('the handler by itself', () => {
  let stack;
  before(async () => {
    // Without offline access: a consent at each sign-in would keep tabs that sign in at once from doing so silently.
    stack = await startStack({ place: 'none', settings: { AUTHORIZE_PARAMETERS: '', SCOPES: 'openid profile email' } });
  });
  after(() => stack?.stop());

  /** As Chromium writes it: it encodes `|` and `^` in a path, which the URL Standard leaves raw. */
  const inAddressBar = (page, address) => page.evaluate((url) => new URL(url).href, stack.origin + address);
  const shown = (page) => page.evaluate(() => location.href);

  /** Everything that the person's browser was sent to, for other origins. */
  const origins = (page) => {
    const seen = new Set();
    page.on('request', (sent) => sent.isNavigationRequest() && seen.add(new URL(sent.url()).origin));
    return seen;
  };

  test('every address comes back byte for byte, with a form and without', async (t) => {
    const person = await stack.person(t);
    for (const [index, address] of ADDRESSES.entries()) {
      const wanted = await inAddressBar(person.page, address);
      await person.context.clearCookies({ name: 'oauth-proxy-session' });
      await person.page.goto(wanted);
      if (index === 0) await person.giveCredentials(ALICE);
      await person.page.locator('#url').waitFor();

      assert.equal(await shown(person.page), wanted, address);
      assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
      assert.equal(await person.page.locator('#url').textContent(), wanted.slice(stack.origin.length), 'and to the application');
    }
  });

  test('an address comes back as `redirect` of a script, which passes its fragment along', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);
    for (const address of [...ADDRESSES, '/app?x=1#/route/[7]?y=|']) {
      const wanted = await inAddressBar(person.page, address);
      for (const redirect of [wanted, wanted.slice(stack.origin.length)]) {
        await person.page.goto(`${stack.origin}/oauth/signin?redirect=${encodeURIComponent(redirect)}`);
        await person.page.locator('#url').waitFor();
        assert.equal(await shown(person.page), wanted, redirect);
      }
    }
  });

  test('an address of eight kilobytes comes back, and a longer one is told', async (t) => {
    const person = await stack.person(t);
    const address = (length) => `${stack.origin}/long?${'filter[]=|&'.repeat(length)}`.slice(0, stack.origin.length + length);

    await person.signIn(ALICE, address(8_192));
    const whole = await shown(person.page);
    await person.context.clearCookies();
    const told = await person.page.goto(address(8_193));

    assert.equal(whole, address(8_192));
    assert.equal(told.status(), 414);
    assert.match(await person.page.content(), /return_url_too_long/);
    await checkPage(person.page, 'return-url-too-long');
  });

  test('no hostile redirect leaves the site', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);
    const seen = origins(person.page);
    const rows = [...HOSTILE, { value: `${stack.origin}@evil.example/`, reason: 'our origin as a user' }];
    for (const { value, accepted = '/', reason } of rows) {
      const arrived = await inAddressBar(person.page, accepted);
      await person.context.clearCookies({ name: 'oauth-proxy-rounds' }); // this many sign-ins look like a loop

      await person.page.goto(`${stack.origin}/oauth/signin?redirect=${encodeURIComponent(value)}`);

      assert.equal(person.page.url(), arrived, reason);
    }

    assert.deepEqual([...seen].sort(), [stack.origin, new URL(stack.provider.issuer).origin].sort());
  });

  test('a dozen tabs that a browser restores end each at its own page', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);
    await person.context.clearCookies({ name: 'oauth-proxy-session' });
    const urls = Array.from({ length: 12 }, (_, tab) => `${stack.origin}/tab/${tab}?filter[open]=a|${tab}`);
    const tabs = await Promise.all(urls.map(() => person.tab()));

    await Promise.all(tabs.map((tab, index) => tab.goto(urls[index])));
    await Promise.all(tabs.map((tab) => tab.locator('#url').waitFor()));

    assert.deepEqual(await Promise.all(tabs.map(shown)), urls);
  });

  test('seven tabs at the form, one after the other, end each at its own page', async (t) => {
    const person = await stack.person(t);
    const urls = Array.from({ length: 7 }, (_, tab) => `${stack.origin}/form-tab/${tab}`);
    const tabs = [];
    for (const url of urls) {
      tabs.push(await person.tab());
      await tabs.at(-1).goto(url);
    }

    for (const [index, tab] of tabs.entries()) {
      await person.giveCredentials(ALICE, tab);
      await tab.waitForURL(urls[index]);
    }

    assert.deepEqual(await Promise.all(tabs.map(shown)), urls);
  });

  test('a page that is opened under another name is signed in to under the public one', async (t) => {
    const person = await stack.person(t);
    const alias = stack.origin.replace('127.0.0.1', 'localhost');

    await person.page.goto(`${alias}/under/another?name=[1]`);
    await person.giveCredentials(ALICE);
    await person.page.waitForURL(`${stack.origin}/under/another?name=[1]`);

    assert.deepEqual(Object.keys(await person.cookies(alias)).filter((name) => name.includes('oauth-proxy')), []);
    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  });
});

describe('frames and fragments', () => {
  let stack;
  before(async () => {
    stack = await startStack({ settings: { KEEP_FRAGMENT: 'true' } });
  });
  after(() => stack?.stop());

  const embed = (page, tag, url) => page.evaluate(([tag, url]) => {
    const element = document.createElement(tag);
    element[tag === 'object' ? 'data' : 'src'] = url;
    document.body.append(element);
  }, [tag, url]);

  for (const tag of ['iframe', 'object', 'embed']) {
    test(`a frame (${tag}) without a session shows a link, which signs in in the whole window`, async (t) => {
      const person = await stack.person(t);
      await person.signIn(ALICE, `${stack.origin}/dashboard`);
      await person.context.clearCookies();

      const navigated = person.page.waitForEvent('framenavigated', (frame) => frame.url().endsWith('/widget'));
      await embed(person.page, tag, '/widget');
      const link = (await navigated).getByRole('link', { name: 'Sign in' });
      await link.waitFor();
      const cookies = await person.cookies(stack.origin);
      await link.click();
      await person.giveCredentials(ALICE);
      await person.page.waitForURL(`${stack.origin}/dashboard`);

      assert.deepEqual(Object.keys(cookies), []);
      assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
    });
  }

  test('another site cannot frame that page', async (t) => {
    const { page } = await stack.person(t);
    await page.goto(`${stack.provider.issuer}/.well-known/openid-configuration`);

    const refused = page.waitForEvent('console', (message) => message.text().includes('frame-ancestors'));
    await embed(page, 'iframe', `${stack.origin}/widget`);
    await refused;

    const texts = await Promise.all(page.frames().map((frame) => frame.content().catch(() => '')));
    assert.ok(texts.every((text) => !text.includes('Sign in to see this')));
  });

  /** A form that names its action drops the fragment which the redirects carried to it. */
  const nameTheAction = (page) => page.evaluate(() => document.forms[0].setAttribute('action', location.pathname));

  test('a fragment survives a sign-in with a form', async (t) => {
    const person = await stack.person(t);
    const wanted = `${stack.origin}/app?a=1#/route/7?b=[c]|d`;

    await person.page.goto(wanted);
    await person.page.getByLabel('User').waitFor();
    await nameTheAction(person.page);
    await person.giveCredentials(ALICE);
    await person.page.locator('#url').waitFor();

    assert.equal(await person.page.evaluate(() => location.href), wanted);
  });

  test('without scripts a sign-in works, too', async (t) => {
    const person = await stack.person(t, { javaScriptEnabled: false });

    await person.page.goto(`${stack.origin}/plain?a=1&b=2`);
    await person.page.getByLabel('User').waitFor();
    await person.giveCredentials(ALICE);
    await person.page.waitForURL(`${stack.origin}/plain?a=1&b=2`);

    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  });
});
