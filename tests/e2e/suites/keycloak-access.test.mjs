// Access by Keycloak's claims: roles and groups, programs of two issuers, levels of authentication, and a token for
// each of two applications.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';

import { startCosmos } from '../lib/cosmos.mjs';
import { startInstance } from '../lib/host.mjs';
import { giveCredentials, startKeycloak } from '../lib/keycloak.mjs';
import { close, FETCH, listen, request, until } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';
import { startUpstream } from '../lib/upstream.mjs';

const FAR_SECONDS = 600;
const AUDIENCE = 'api://orders';

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

const routed = (routes, settings = {}) => (upstream) => ({
  PROVIDER: 'keycloak',
  UPSTREAM_URL: '',
  ROUTES: JSON.stringify(routes.map((route) => ({ upstream: upstream.url, ...route }))),
  ...settings,
});

describe('Keycloak, roles and groups', () => {
  let stack;
  before(async () => {
    const routes = [
      { path: '/' },
      { path: '/editors', require: { claim: 'roles', equals: 'editor' }, explain: 'Ask the desk for the role editor.' },
      { path: '/board', require: { claim: 'groups', equals: 'board' } },
    ];
    const provider = (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS });
    stack = await startStack({ settings: routed(routes), provider });
  });
  after(() => stack?.stop());

  const refresh = async (person) => {
    await person.page.goto(`${stack.origin}/`); // our own pages let no script send anything
    return person.fetch('/oauth/refresh', { method: 'POST', headers: { 'x-csrf': '1' } });
  };
  const statuses = async (person) => {
    const opened = [];
    for (const path of ['/editors', '/board']) opened.push((await person.page.goto(stack.origin + path)).status());
    return opened;
  };

  test('one person passes and the other is denied, until their roles change at a refresh', async (t) => {
    await stack.provider.setRole(ALICE, 'editor', true);
    await stack.provider.setGroup(BOB, 'board', true);
    const [alice, bob] = [await stack.person(t), await stack.person(t)];
    await signIn(alice, ALICE, `${stack.origin}/`);
    await signIn(bob, BOB, `${stack.origin}/`);

    assert.deepEqual([await statuses(alice), await statuses(bob)], [[200, 403], [403, 200]]);
    await bob.page.goto(`${stack.origin}/editors`);
    assert.match(await bob.page.textContent('body'), /Ask the desk for the role editor\./);
    const seen = stack.upstream.to('/editors').length;

    for (const [person, isEditor] of [[ALICE, false], [BOB, true]]) {
      await stack.provider.setRole(person, 'editor', isEditor);
      await stack.provider.setGroup(person, 'board', !isEditor);
    }
    assert.deepEqual(await statuses(alice), [200, 403], 'the claims are those of the last refresh');
    assert.equal(stack.upstream.to('/editors').length, seen + 1);
    for (const person of [alice, bob]) assert.equal((await refresh(person)).status, 200);

    assert.deepEqual([await statuses(alice), await statuses(bob)], [[403, 200], [200, 403]]);
  });
});

describe('Keycloak, programs', () => {
  let stack;
  before(async () => {
    const issuers = [
      { issuer: keycloak.issuer, audience: AUDIENCE },
      { issuer: keycloak.steppedIssuer, audience: AUDIENCE, token_type: 'JWT' },
    ];
    const settings = routed([{ path: '/' }, { path: '/orders', access: 'bearer' }], { API_ISSUERS: JSON.stringify(issuers) });
    const provider = (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS });
    stack = await startStack({ settings, provider });
  });
  after(() => stack?.stop());

  const send = (token) => request(`${stack.origin}/orders`, { headers: { authorization: `Bearer ${token}` } });

  test('client credentials of both issuers pass, each as it came', async () => {
    const tokens = [
      await keycloak.programToken(keycloak.issuer, { clientId: 'robot', audience: AUDIENCE, isTyped: true }),
      await keycloak.programToken(keycloak.steppedIssuer, { clientId: 'partner', audience: AUDIENCE }),
    ];
    stack.keep(...tokens);
    for (const token of tokens) {
      const { status, headers } = await send(token);
      assert.deepEqual([status, headers['www-authenticate']], [200, undefined]);
      assert.equal(stack.upstream.requests.at(-1).headers.authorization, `Bearer ${token}`);
    }
  });

  test('a token for another audience, or without the type that its issuer promises, is 401', async () => {
    const tokens = [
      await keycloak.programToken(keycloak.issuer, { clientId: 'stranger', audience: 'api://elsewhere', isTyped: true }),
      await keycloak.programToken(keycloak.issuer, { clientId: 'untyped', audience: AUDIENCE }),
    ];
    stack.keep(...tokens);
    const before = stack.upstream.requests.length;
    for (const token of tokens) {
      const refused = await send(token);
      assert.deepEqual([refused.status, refused.json().code], [401, 'bearer_invalid']);
      assert.match(refused.headers['www-authenticate'], /error="invalid_token"/);
    }
    assert.equal(stack.upstream.requests.length, before);
  });
});

describe('Keycloak, levels of authentication', () => {
  let stack;
  before(async () => {
    const routes = [
      { path: '/' },
      { path: '/ruled', require: { acr: 'gold' } },
      { path: '/asking', step_up_challenges: 'follow' },
    ];
    const provider = (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS, realm: 'stepped' });
    stack = await startStack({ settings: routed(routes), provider, upstream: startAsking });
  });
  after(() => stack?.stop());

  for (const [path, who] of [['/ruled', ALICE], ['/asking', BOB]]) {
    test(`${path} leads to the second level, and back to its page`, async (t) => {
      const person = await stack.person(t);
      await signIn(person, who, `${stack.origin}/`);

      await person.page.goto(stack.origin + path);
      assert.equal(await person.page.locator('#username').count(), 0, 'who it is, Keycloak knows');
      await person.page.locator('#password').fill(who.password);
      await person.page.locator('#kc-login').click();
      await person.page.waitForURL(stack.origin + path);

      assert.equal(await person.page.textContent('h1'), 'gold');
    });
  }
});

describe('Keycloak, a token for each of two applications, four instances over one store', () => {
  const AUDIENCES = ['orders', 'stock'];
  const running = [];
  let stack;
  let applications;
  let places;
  before(async () => {
    const begin = async (part) => running.push(await part) && running.at(-1);
    const cosmos = await begin(startCosmos());
    applications = [await begin(startUpstream()), await begin(startUpstream())];
    const routes = AUDIENCES.map((audience, at) => ({ path: `/${audience}`, upstream: applications[at].url, token: { audience } }));
    const keys = { COOKIE_KEYS: `c1:${'A'.repeat(43)}=`, TOKEN_KEYS: `t1:${'B'.repeat(42)}A=` };
    const provider = (origin) => keycloak.register(origin, { accessTokenSeconds: FAR_SECONDS, audiences: AUDIENCES });
    stack = await begin(startStack({ settings: routed([{ path: '/' }, ...routes], { ...cosmos.settings, ...keys }), provider }));
    const instances = await Promise.all([1, 2, 3].map(() => startInstance(stack.settings)));
    running.push(...instances);
    places = [stack.origin, ...instances.map(({ url }) => url)];
  });
  after(async () => {
    for (const part of running.toReversed()) await part.stop();
  });

  test('two hundred requests make one exchange an audience, and a sign-out ends the tokens', async (t) => {
    const person = await stack.person(t);
    await signIn(person, ALICE, `${stack.origin}/`);
    const { logout_url: logoutUrl } = JSON.parse((await person.fetch('/oauth/me')).body);
    const cookie = await person.cookieHeader(stack.origin);

    const answers = await Promise.all(Array.from({ length: 200 }, (_, at) =>
      request(`${places[at % 4]}/${AUDIENCES[(at >> 2) % 2]}/page`, { headers: { ...FETCH, cookie } })));

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(await stack.provider.count('TOKEN_EXCHANGE'), AUDIENCES.length);
    assert.equal(await stack.provider.count('TOKEN_EXCHANGE_ERROR'), 0);
    const tokens = applications.map(({ requests }) => [...new Set(requests.map(({ headers }) => headers.authorization.slice('Bearer '.length)))]);
    assert.deepEqual(tokens.map((seen) => seen.map((token) => payload(token).aud)), AUDIENCES.map((audience) => [audience]));
    stack.keep(...tokens.flat());

    const areActive = () => Promise.all(tokens.map(([token], at) => stack.provider.isActive(token, AUDIENCES[at])));
    assert.deepEqual(await areActive(), [true, true]);
    await person.page.goto(stack.origin + logoutUrl);
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);
    await until('both tokens are over', async () => (await areActive()).every((isActive) => !isActive));
  });
});

/** An application that verifies the level in the access token by itself, and asks for another sign-in (RFC 9470). */
async function startAsking() {
  const server = http.createServer((req, res) => {
    const { acr } = payload(req.headers.authorization);
    if (req.url.startsWith('/asking') && acr !== 'gold') {
      const challenge = 'Bearer error="insufficient_user_authentication", acr_values="gold"';
      return res.writeHead(401, { 'www-authenticate': challenge }).end();
    }
    return res.writeHead(200, { 'content-type': 'text/html' }).end(`<!doctype html><h1>${acr}</h1>`);
  });
  const port = await listen(server);
  return { url: `http://127.0.0.1:${port}`, stop: () => close(server) };
}

/** Claims of a JWT, unverified. */
function payload(token) {
  return JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
}
