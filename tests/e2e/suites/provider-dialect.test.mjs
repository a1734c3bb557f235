// The demands of a strict provider and the settings for them. No browser: a cookie jar that follows redirects.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { clientKey } from '../lib/client-key.mjs';
import { startHost } from '../lib/host.mjs';
import { FETCH, freePort, NAVIGATION, request } from '../lib/network.mjs';
import { startStrictProvider } from '../lib/strict-provider.mjs';
import { startUpstream } from '../lib/upstream.mjs';

const SECRET = 'e2e-client-secret-7c1f';
const CONSENT = { AUTHORIZE_PARAMETERS: 'prompt=consent' };

/** Provider, application and handler with a client of this authentication method. */
async function start(t, { method = 'client_secret_basic', client = {}, settings = {}, demandsPushedRequests } = {}) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const ours = method === 'private_key_jwt' ? signingClient() : { client: { client_secret: SECRET }, settings: { CLIENT_SECRET: SECRET } };
  const upstream = await startUpstream();
  t.after(upstream.stop);
  const known = { token_endpoint_auth_method: method, ...ours.client, ...client };
  const provider = await startStrictProvider(origin, { client: known, demandsPushedRequests });
  t.after(provider.stop);
  const all = {
    PUBLIC_BASE_URL: origin, UPSTREAM_URL: upstream.url, CLIENT_AUTH_METHOD: method, ...provider.settings, ...ours.settings, ...settings,
  };
  const host = await startHost(port, all);
  t.after(host.stop);
  return Object.assign(jar(provider.issuer), { origin, provider });
}

function signingClient() {
  const { jwk, settings } = clientKey();
  return { client: { token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [jwk] } }, settings };
}

/** A client that keeps cookies by origin; `toProvider` is the first URL that it was sent to there. */
function jar(issuer) {
  const cookies = {};
  const jar = { toProvider: undefined };
  const send = async (url, options) => {
    const own = (cookies[new URL(url).origin] ??= new Map());
    const cookie = [...own].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await request(url, { ...options, headers: { ...options.headers, cookie } });
    for (const set of answer.setCookies) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      if (value === '' || /max-age=0/i.test(set)) own.delete(name);
      else own.set(name, value);
    }
    return answer;
  };
  jar.open = async (start) => {
    let url = start;
    for (let hop = 0; hop < 20; hop++) {
      const answer = await send(url, { headers: NAVIGATION });
      if (answer.status < 300 || answer.status >= 400) return answer;
      url = new URL(answer.headers.location, url).href;
      if (url.startsWith(issuer)) jar.toProvider ??= new URL(url);
    }
    throw new Error(`no end of redirects at ${url}`);
  };
  jar.refresh = (origin) => send(`${origin}/oauth/refresh`, { method: 'POST', headers: { ...FETCH, 'x-csrf': '1' } });
  return jar;
}

const codeOf = (page) => /<code>([a-z_]+)/.exec(page.text)?.[1];

test('consent is what a refresh token needs, and a refresh asks for the scope of the grant', async (t) => {
  const without = await start(t);
  const stack = await start(t, { settings: CONSENT });

  await without.open(`${without.origin}/`);
  const page = await stack.open(`${stack.origin}/`);
  const refreshed = await stack.refresh(stack.origin);

  assert.equal(without.provider.tokenRequests[0].tokens.refresh_token, undefined);
  assert.deepEqual([page.status, refreshed.status], [200, 200]);
  assert.equal(stack.provider.tokenRequests[1].sent.scope, 'openid profile email offline_access');
});

for (const method of ['client_secret_basic', 'client_secret_post', 'private_key_jwt']) {
  test(`a demanded request is pushed with ${method}, and the tokens are refreshed`, async (t) => {
    const stack = await start(t, { method, demandsPushedRequests: true, settings: CONSENT });

    const page = await stack.open(`${stack.origin}/`);
    const refreshed = await stack.refresh(stack.origin);

    assert.deepEqual([page.status, refreshed.status, stack.provider.pushed], [200, 200, 1]);
    assert.deepEqual([...stack.toProvider.searchParams.keys()], ['client_id', 'request_uri']);
  });
}

test('a pushed request that the provider refuses is told apart', async (t) => {
  const refused = await start(t, { demandsPushedRequests: true, settings: { AUTHORIZE_PARAMETERS: 'prompt=nonsense' } });
  const stranger = await start(t, { demandsPushedRequests: true, settings: { CLIENT_SECRET: 'another-secret' } });

  const pages = [await refused.open(`${refused.origin}/`), await stranger.open(`${stranger.origin}/`)];

  assert.deepEqual(pages.map((page) => [page.status, codeOf(page)]), [[400, 'authorization_request_refused'], [400, 'client_refused']]);
});

test('a resource is asked for at every step', async (t) => {
  const resource = 'resource=https%3A%2F%2Fapi.example';
  const settings = { AUTHORIZE_PARAMETERS: `prompt=consent&${resource}`, TOKEN_PARAMETERS: resource, SCOPES: 'openid offline_access api' };
  const stack = await start(t, { settings });

  const page = await stack.open(`${stack.origin}/`);
  const refreshed = await stack.refresh(stack.origin);

  assert.deepEqual([page.status, refreshed.status], [200, 200]);
  const [exchange, refresh] = stack.provider.tokenRequests;
  assert.deepEqual([exchange.sent.resource, refresh.sent.resource], ['https://api.example', 'https://api.example']);
  // The response names the access token's scope alone; the refresh asks for all of the grant.
  assert.deepEqual([exchange.tokens.scope, refresh.sent.scope], ['api', 'openid offline_access api']);
  assert.ok(refresh.tokens.id_token);
});

test('an algorithm of another family needs its setting', async (t) => {
  const client = { id_token_signed_response_alg: 'ES256' };
  const without = await start(t, { client });
  const stack = await start(t, { client, settings: { ID_TOKEN_SIGNING_ALG: 'ES256' } });

  const pages = [await without.open(`${without.origin}/`), await stack.open(`${stack.origin}/`)];

  assert.deepEqual([pages[0].status, codeOf(pages[0]), pages[1].status], [400, 'id_token_algorithm', 200]);
});
