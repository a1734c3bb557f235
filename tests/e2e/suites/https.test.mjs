// The application as it is published: https, a name of its own, another site than the provider. Cookies in full dress,
// and both response modes.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { NAVIGATION, request } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const SESSION = '__Host-oauth-proxy-session';
const LARGEST_BYTES = 400;

for (const mode of ['query', 'form_post']) {
  describe(`RESPONSE_MODE=${mode}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ https: true, settings: { RESPONSE_MODE: mode } });
    });
    after(() => stack?.stop());

    test('someone signs in across sites, uses the application and signs out', async (t) => {
      const person = await stack.person(t);
      const returns = [];
      person.page.on('request', (sent) => {
        if (new URL(sent.url()).pathname === '/oauth/callback') returns.push(sent.method());
      });

      await person.signIn(ALICE, `${stack.origin}/form?from=deep`);
      await person.page.locator('input').fill('over https');
      await person.page.getByRole('button', { name: 'Send' }).click();
      await person.page.waitForURL(/thanks/);
      const { logout_url: logoutUrl } = JSON.parse((await person.fetch('/oauth/me')).body);
      await person.page.goto(stack.origin + logoutUrl);
      await person.page.getByRole('button', { name: 'Yes, sign me out' }).click();
      await person.page.waitForURL(`${stack.origin}/oauth/signedout`);

      assert.deepEqual(returns, [mode === 'query' ? 'GET' : 'POST']);
      assert.deepEqual(await person.cookies(stack.origin), { 'legacy-flash': 'saved' });
    });

    test('two tabs sign in at once', async (t) => {
      const person = await stack.person(t);
      const tabs = [person.page, await person.tab()];
      await Promise.all(tabs.map((tab, index) => tab.goto(`${stack.origin}/tab/${index}`)));

      await Promise.all(tabs.map((tab) => person.giveCredentials(ALICE, tab)));
      await Promise.all(tabs.map((tab, index) => tab.waitForURL(`${stack.origin}/tab/${index}`)));

      for (const tab of tabs) assert.equal(await tab.locator('h1').textContent(), `Hello ${ALICE.name}`);
    });
  });
}

describe('cookies on the wire', () => {
  let stack;
  before(async () => {
    stack = await startStack({ https: true });
  });
  after(() => stack?.stop());

  /** A sign-in by raw requests: every Set-Cookie of ours, by what it was for. */
  async function signInByHand(person) {
    const begun = await request(`${stack.origin}/oauth/signin?redirect=/deep`, { headers: NAVIGATION });
    await person.page.goto(begun.headers.location);
    const callback = await person.callbackUrl(ALICE);
    const cookie = begun.setCookies.map((line) => line.split(';')[0]).join('; ');
    const finished = await request(callback, { headers: { ...NAVIGATION, cookie } });
    return { begun, finished };
  }

  const attributes = (line) => line.split('; ').slice(1).filter((part) => !part.startsWith('Max-Age')).sort();
  const named = (answer, name) => answer.setCookies.find((line) => line.startsWith(name));
  const DRESS = ['HttpOnly', 'Path=/', 'SameSite=Lax', 'Secure'];

  test('the session is __Host-, Secure, HttpOnly, SameSite=Lax, Path=/ and under 400 bytes', async (t) => {
    const { finished } = await signInByHand(await stack.person(t));

    const line = named(finished, `${SESSION}=`);
    assert.equal(finished.status, 303);
    assert.deepEqual(attributes(line), DRESS);
    assert.ok(line.split(';')[0].length < LARGEST_BYTES, `${line.split(';')[0].length} bytes`);
    assert.ok(!/Domain=/i.test(line) && !/Max-Age|Expires/i.test(line), 'it ends with the browser');
  });

  test('a pending sign-in has the same attributes and ten minutes, and its deletion matches', async (t) => {
    const { begun, finished } = await signInByHand(await stack.person(t));

    const set = begun.setCookies.find((line) => line.startsWith('__Host-oauth-proxy-login-'));
    const name = set.split('=')[0];
    const deleted = named(finished, `${name}=;`);
    assert.match(name, /-login-[0-9a-f]{8}$/);
    assert.match(set, /; Max-Age=600(;|$)/);
    assert.match(deleted, /; Max-Age=0(;|$)/);
    assert.deepEqual([attributes(set), attributes(deleted)], [DRESS, DRESS]);
  });

  test('signing out deletes the session cookie with the attributes it was set with', async (t) => {
    const { finished } = await signInByHand(await stack.person(t));
    const cookie = named(finished, `${SESSION}=`).split(';')[0];
    stack.keep(cookie.split('=')[1]);

    const answer = await request(`${stack.origin}/oauth/signout`, {
      method: 'POST',
      headers: { ...NAVIGATION, 'sec-fetch-site': 'same-origin', cookie },
    });

    const line = named(answer, `${SESSION}=;`);
    assert.equal(answer.status, 303);
    assert.match(line, /; Max-Age=0(;|$)/);
    assert.deepEqual(attributes(line), DRESS);
    stack.keep(new URL(answer.headers.location).searchParams.get('id_token_hint'));
  });

  test('a name that only decodes to ours is not ours', async (t) => {
    const { finished } = await signInByHand(await stack.person(t));
    const cookie = named(finished, `${SESSION}=`).split(';')[0].replace('__Host-', '__Host%2D');

    const answer = await request(`${stack.origin}/page`, { headers: { ...NAVIGATION, cookie } });

    assert.equal(answer.status, 302);
  });
});
