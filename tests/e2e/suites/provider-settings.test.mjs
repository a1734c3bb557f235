// Other ways to speak with a provider: form_post on loopback, a secret in the body, a public client, UserInfo.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const me = async (person) => JSON.parse((await person.fetch('/oauth/me')).body);

describe('form_post on loopback, the secret in the body', () => {
  let stack;
  before(async () => {
    // Without https there is no SameSite=None: the provider must be of the same site, so it is on 127.0.0.1 as well.
    stack = await startStack({
      settings: { RESPONSE_MODE: 'form_post', CLIENT_AUTH_METHOD: 'client_secret_post' },
      provider: { host: '127.0.0.1', client: { token_endpoint_auth_method: 'client_secret_post' } },
    });
  });
  after(() => stack?.stop());

  test('the code arrives in a form, and never in an address', async (t) => {
    const person = await stack.person(t);
    const addresses = [];
    person.page.on('request', (sent) => addresses.push(sent.url()));

    await person.signIn(ALICE, `${stack.origin}/posted?a=1`);

    const code = stack.provider.newest('AuthorizationCode').value;
    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
    assert.deepEqual(addresses.filter((address) => address.includes(code)), []);
  });
});

describe('a public client', () => {
  let stack;
  before(async () => {
    stack = await startStack({
      settings: { CLIENT_SECRET: '', CLIENT_AUTH_METHOD: 'none' },
      provider: { client: { token_endpoint_auth_method: 'none', client_secret: undefined } },
    });
  });
  after(() => stack?.stop());

  test('signs in by PKCE alone and refreshes', async (t) => {
    const person = await stack.person(t);

    await person.signIn(ALICE, `${stack.origin}/`);
    const refreshed = await person.fetch('/oauth/refresh', { method: 'POST', headers: { 'X-CSRF': '1' } });

    assert.equal(refreshed.status, 200);
  });
});

describe('UserInfo', () => {
  let stack;
  before(async () => {
    stack = await startStack({ settings: { USERINFO: 'true' }, provider: { claimsInIdToken: false } });
  });
  after(() => stack?.stop());

  test('tells what the ID token does not', async (t) => {
    const person = await stack.person(t);

    await person.signIn(ALICE, `${stack.origin}/`);

    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
    assert.equal((await me(person)).email, ALICE.email);
  });

  test('still tells it after a refresh', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);

    await person.fetch('/oauth/refresh', { method: 'POST', headers: { 'X-CSRF': '1' } });

    assert.equal((await me(person)).email, ALICE.email);
  });

  test('of another person is refused (OIDC Core 5.3.2)', async (t) => {
    const person = await stack.person(t);
    t.after(stack.provider.repair);
    stack.provider.overrides.set('/me', (_req, res) => {
      res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sub: 'sub-mallory', name: 'Mallory' }));
    });

    await person.page.goto(`${stack.origin}/`);
    await person.giveCredentials(ALICE);
    await person.page.waitForURL(/\/oauth\/callback/);

    assert.equal(await person.page.locator('h1').textContent(), 'You were not signed in');
    assert.equal((await person.cookies(stack.origin))['oauth-proxy-session'], undefined);
  });
});
