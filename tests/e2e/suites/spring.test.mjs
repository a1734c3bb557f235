// The journey with Spring Authorization Server: sign in, refresh with rotation, sign out by the provider, and what few
// providers have: pushed requests and a client that signs.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { clientKey } from '../lib/client-key.mjs';
import { close, FETCH, listen, request, until } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { giveCredentials, startSpring } from '../lib/spring.mjs';
import { startStack } from '../lib/stack.mjs';

const SOON_SECONDS = 4;
const FAR_SECONDS = 600;

async function signIn(person, who, url) {
  await person.page.goto(url);
  await giveCredentials(person.page, who);
  await person.page.waitForURL(url);
}

async function consent(page) {
  await page.getByRole('checkbox').check();
  await page.getByRole('button', { name: 'Submit Consent' }).click();
}

const me = async (person) => JSON.parse((await person.fetch('/oauth/me')).body);

describe('Spring Authorization Server', () => {
  let stack;
  before(async () => {
    const client = { 'require-authorization-consent': true };
    stack = await startStack({ provider: (origin) => startSpring(origin, { tokenSeconds: FAR_SECONDS, client }) });
  });
  after(() => stack?.stop());

  test('who does not consent is told, and who does lands on the page that was wanted', async (t) => {
    const person = await stack.person(t);

    await person.page.goto(`${stack.origin}/reports?year=2026`);
    await giveCredentials(person.page, ALICE);
    await person.page.getByRole('button', { name: 'Cancel' }).click();
    await person.page.waitForURL(/\/oauth\/callback/);
    const refusal = await person.page.locator('code').first().textContent();
    await person.page.goto(`${stack.origin}/reports?year=2026`);
    await consent(person.page);
    await person.page.waitForURL(`${stack.origin}/reports?year=2026`);

    assert.match(refusal, /^login_cancelled/);
    assert.equal(await person.page.locator('#url').textContent(), '/reports?year=2026');
    assert.equal((await me(person)).sub, ALICE.login);
  });

  test('after signing out the password is asked for, and the old cookie and the refresh token are worthless', async (t) => {
    const person = await stack.person(t);
    await person.page.goto(`${stack.origin}/`);
    await giveCredentials(person.page, BOB);
    await consent(person.page);
    await person.page.waitForURL(`${stack.origin}/`);
    const cookie = await person.cookieHeader(stack.origin);
    const { logout_url: logoutUrl } = await me(person);

    await person.page.goto(stack.origin + logoutUrl);
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);
    const replayed = await request(`${stack.origin}/api`, { headers: { ...FETCH, cookie } });
    await person.page.getByRole('link').click();

    await person.page.locator('#password').waitFor();
    assert.equal(replayed.status, 401);
    assert.equal(await stack.provider.count('GET /connect/logout 302'), 1);
    await until('the refresh token is revoked', async () => (await stack.provider.count('POST /oauth2/revoke 200')) > 0);
  });
});

describe('Spring Authorization Server, a client that signs and pushes its requests', () => {
  let stack;
  let keys;
  before(async () => {
    const { jwk, settings } = clientKey();
    keys = http.createServer((_req, res) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] })));
    const client = { 'jwk-set-uri': `http://127.0.0.1:${await listen(keys)}/`, 'token-endpoint-authentication-signing-algorithm': 'ES256' };
    stack = await startStack({
      settings: { ...settings, PUSHED_AUTHORIZATION_REQUESTS: 'always' },
      provider: (origin) => startSpring(origin, { tokenSeconds: SOON_SECONDS, method: 'private_key_jwt', client }),
    });
  });
  after(async () => {
    await stack?.stop();
    await close(keys);
  });

  test('the browser carries a reference only, and each lapse makes one refresh with the rotated token', async (t) => {
    const person = await stack.person(t);
    const authorize = [];
    person.page.on('request', (sent) => {
      const url = new URL(sent.url());
      if (url.pathname === '/oauth2/authorize') authorize.push([...url.searchParams.keys()].sort().join());
    });
    const seen = () => new Set(stack.upstream.requests.map(({ headers }) => headers.authorization)).size;

    await signIn(person, ALICE, `${stack.origin}/`);
    for (const lapse of [1, 2, 3]) {
      await until(`refresh ${lapse}`, async () => {
        const statuses = await Promise.all([1, 2, 3, 4].map(async () => (await person.fetch('/api/poll')).status));
        assert.deepEqual(new Set(statuses), new Set([200]));
        return seen() > lapse;
      });
    }

    assert.equal(authorize[0], 'client_id,request_uri');
    assert.equal(await stack.provider.count('POST /oauth2/par 201'), 1);
    assert.equal(await stack.provider.count('POST /oauth2/token 200'), seen());
    assert.equal(await stack.provider.count('POST /oauth2/token 400'), 0);
  });

  test('revokes with its signature too', async (t) => {
    const person = await stack.person(t);
    await signIn(person, BOB, `${stack.origin}/`);

    await person.page.goto(stack.origin + (await me(person)).logout_url);
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);

    await until('the refresh token is revoked', async () => (await stack.provider.count('POST /oauth2/revoke 200')) > 0);
  });
});
