// The same journey with Keycloak: sign in, refresh with rotation, UserInfo, both response modes, sign out, back channel;
// by the standards (PROVIDER=generic) and by its profile.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startCosmos } from '../lib/cosmos.mjs';
import { startInstance } from '../lib/host.mjs';
import { FETCH, request, until } from '../lib/network.mjs';
import { giveCredentials, REALM_ROLES, startKeycloak } from '../lib/keycloak.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const SOON_SECONDS = 4;
const FAR_SECONDS = 600;

let keycloak;
before(async () => {
  keycloak = await startKeycloak();
});
after(() => keycloak?.stop());

async function signIn(person, who, url) {
  await person.page.goto(url);
  await giveCredentials(person.page, who);
  await person.page.waitForURL(url);
}

async function me(person) {
  return JSON.parse((await person.fetch('/oauth/me')).body);
}

const PROFILE = { PROVIDER: 'keycloak' };

const MODES = [
  { title: 'RESPONSE_MODE=query, client_secret_basic', settings: {}, https: false, method: 'GET', roles: undefined },
  {
    title: 'PROVIDER=keycloak, RESPONSE_MODE=form_post over https, client_secret_post',
    settings: { ...PROFILE, RESPONSE_MODE: 'form_post', CLIENT_AUTH_METHOD: 'client_secret_post', USERINFO: 'true' },
    https: true,
    method: 'POST',
    roles: REALM_ROLES,
  },
];

for (const { title, settings, https, method, roles } of MODES) {
  describe(`Keycloak, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ https, settings, provider: (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS }) });
    });
    after(() => stack?.stop());

    test('someone signs in and lands on the page that was wanted', async (t) => {
      const person = await stack.person(t);
      const returns = [];
      person.page.on('request', (sent) => {
        if (new URL(sent.url()).pathname === '/oauth/callback') returns.push(sent.method());
      });

      await signIn(person, ALICE, `${stack.origin}/reports?year=2026`);

      assert.deepEqual(returns, [method]);
      assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
      const { email, roles: told } = await me(person);
      assert.deepEqual([email, told?.toSorted()], [ALICE.email, roles]);
    });

    test('after signing out the password is asked for, the old cookie is worthless and so is the refresh token', async (t) => {
      const person = await stack.person(t);
      await signIn(person, BOB, `${stack.origin}/`);
      const cookie = await person.cookieHeader(stack.origin);
      const { logout_url: logoutUrl } = await me(person);

      await person.page.goto(stack.origin + logoutUrl);
      await person.page.waitForURL(`${stack.origin}/oauth/signedout`);
      const replayed = await request(`${stack.origin}/api`, { headers: { ...FETCH, cookie } });
      await person.page.getByRole('link').click();
      await person.page.locator('#password').waitFor();

      assert.equal(replayed.status, 401);
      await until('the refresh token is revoked', async () => (await stack.provider.count('REVOKE_GRANT')) > 0);
    });
  });
}

describe('Keycloak, tokens that lapse', () => {
  let stack;
  before(async () => {
    stack = await startStack({ provider: (origin) => keycloak.register(origin, { accessTokenSeconds: SOON_SECONDS }) });
  });
  after(() => stack?.stop());

  test('each lapse makes one refresh with the rotated token, and nobody notices', async (t) => {
    const person = await stack.person(t);
    await signIn(person, ALICE, `${stack.origin}/`);
    const seen = () => new Set(stack.upstream.requests.map(({ headers }) => headers.authorization)).size;

    for (const lapse of [1, 2, 3]) {
      await until(`refresh ${lapse}`, async () => {
        assert.equal((await person.fetch('/api/poll')).status, 200);
        return seen() > lapse;
      });
    }

    assert.equal(await stack.provider.count('REFRESH_TOKEN'), seen() - 1);
    assert.equal(await stack.provider.count('REFRESH_TOKEN_ERROR'), 0);
  });
});

describe('Keycloak, PROVIDER=keycloak, four instances over one store', () => {
  let cosmos;
  let stack;
  let instances;
  before(async () => {
    cosmos = await startCosmos();
    const keys = { COOKIE_KEYS: `c1:${'A'.repeat(43)}=`, TOKEN_KEYS: `t1:${'B'.repeat(42)}A=` };
    stack = await startStack({
      // Keycloak's back channel tells of sessions, and an offline token has left its own: the profile asks for none.
      settings: { ...cosmos.settings, ...keys, ...PROFILE, SESSION_CACHE_TTL: '0s' },
      provider: (origin) => keycloak.register(origin, { accessTokenSeconds: SOON_SECONDS }),
    });
    instances = await Promise.all([1, 2, 3].map(() => startInstance(stack.settings)));
  });
  after(async () => {
    for (const part of [...(instances ?? []), stack, cosmos]) await part?.stop();
  });

  test('two hundred requests at once, lapse after lapse, make one refresh each', async (t) => {
    const person = await stack.person(t);
    await signIn(person, ALICE, `${stack.origin}/`);
    const cookie = await person.cookieHeader(stack.origin);
    const places = [stack.origin, ...instances.map(({ url }) => url)];
    const seen = () => new Set(stack.upstream.requests.map(({ headers }) => headers.authorization)).size;
    const burst = () => Promise.all(Array.from({ length: 200 }, (_, index) =>
      request(`${places[index % places.length]}/api/poll`, { headers: { ...FETCH, cookie } })));

    for (const lapse of [1, 2, 3]) {
      await until(`refresh ${lapse}`, async () => {
        assert.deepEqual(new Set((await burst()).map(({ status }) => status)), new Set([200]));
        return seen() > lapse;
      });
    }

    assert.equal(await stack.provider.count('REFRESH_TOKEN'), seen() - 1);
    assert.equal(await stack.provider.count('REFRESH_TOKEN_ERROR'), 0);
  });

  test('whom the administrator signs out is signed out everywhere', async (t) => {
    const person = await stack.person(t);
    await signIn(person, BOB, `${stack.origin}/`);
    const cookie = await person.cookieHeader(stack.origin);
    const places = [stack.origin, ...instances.map(({ url }) => url)];
    const statuses = () => Promise.all(places.map(async (place) =>
      (await request(`${place}/api`, { headers: { ...FETCH, cookie } })).status));
    assert.deepEqual(await statuses(), [200, 200, 200, 200]);

    await stack.provider.signOutEverywhere(BOB);
    await until('Keycloak tells by its back channel', () => /provider_logout.*sessions"?[:=]1/.test(stack.host.log()));

    assert.deepEqual(await statuses(), [401, 401, 401, 401]);
  });
});

describe('Keycloak, UserInfo', () => {
  for (const [setting, expected] of [['true', 'Archives'], ['false', undefined]]) {
    test(`with USERINFO=${setting} \`me\` tells ${expected ?? 'nothing'} of what only UserInfo says`, async (t) => {
      const provider = (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS });
      const stack = await startStack({ settings: { USERINFO: setting }, provider });
      const person = await stack.person(t);
      t.after(() => stack.stop());

      await signIn(person, ALICE, `${stack.origin}/`);

      assert.equal((await me(person)).department, expected);
    });
  }
});
