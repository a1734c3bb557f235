// A real OpenID Provider: the certified oidc-provider with its own policy, and a sign-in form of our own that asks for a
// password. Who signs in consents.
//
// A refresh token needs consent to `offline_access` (OIDC Core 11), so the settings ask for it. Tests see what reached it
// (`grants`, `issued`), shorten its access tokens and break its endpoints.

import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';

import { Provider } from 'oidc-provider';

import { consent } from './consent.mjs';
import { close, listen, request } from './network.mjs';
import { PEOPLE } from './people.mjs';

const FAR_SECONDS = 3_600;
const CLIENT_ID = 'legacy-app';
const CLIENT_SECRET = 'e2e-client-secret-7c1f';

/**
 * Starts a provider for the application at `origin`. On `host` localhost it is another site than 127.0.0.1; `client` is
 * added to what it knows of the application.
 */
export async function startProvider(origin, { host = 'localhost', claimsInIdToken = true, client = {} } = {}) {
  const kit = { grants: [], issued: [], accessTokenSeconds: FAR_SECONDS, overrides: new Map() };
  let listener;
  const server = http.createServer((req, res) => {
    const override = kit.overrides.get(new URL(req.url, 'http://host').pathname);
    return override ? override(req, res) : listener(req, res);
  });
  const port = await listen(server);
  const issuer = `http://${host}:${port}`;
  const provider = new Provider(issuer, configuration(origin, kit, { claimsInIdToken, client }));
  listener = withSignInForm(provider, provider.callback());
  observe(provider, kit);

  const credentials = { client_id: CLIENT_ID, client_secret: CLIENT_SECRET };
  return Object.assign(kit, {
    issuer,
    settings: { OIDC_ISSUER_URL: issuer, CLIENT_ID, CLIENT_SECRET, AUTHORIZE_PARAMETERS: 'prompt=consent' },
    /** Counts from now on how many times tokens were given for this grant. */
    counter(grant) {
      const { length } = kit.grants;
      return () => kit.grants.slice(length).filter((given) => given === grant).length;
    },
    /** The newest token of a kind that was issued: AccessToken, RefreshToken, AuthorizationCode, IdToken. */
    newest: (kind) => kit.issued.findLast((issued) => issued.kind === kind),
    /** True while the provider itself honours a token (RFC 7662). */
    async isActive(token) {
      const answer = await post(`${issuer}/token/introspection`, { ...credentials, token });
      return answer.json().active;
    },
    /** Makes a token worthless, as an administrator would. */
    revoke: (token) => post(`${issuer}/token/revocation`, { ...credentials, token }),
    /** Tries a refresh token. */
    refresh: (token) => post(`${issuer}/token`, { ...credentials, grant_type: 'refresh_token', refresh_token: token }),
    /** Lets requests to a path fail with this status until `repair()`. */
    fail(pathname, status = 503) {
      kit.overrides.set(pathname, (_req, res) => res.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Not now</h1>'));
    },
    repair: () => kit.overrides.clear(),
    /** Nobody answers any more. */
    stop: () => close(server),
  });
}

function configuration(origin, kit, { claimsInIdToken, client }) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    clients: [{
      client_id: CLIENT_ID,
      client_secret: CLIENT_SECRET,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [`${origin}/oauth/callback`],
      post_logout_redirect_uris: [`${origin}/oauth/signedout`],
      ...client,
    }],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'e2e' }] },
    cookies: { keys: ['e2e cookies are signed with this'] },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
    scopes: ['openid', 'offline_access', 'profile', 'email'],
    conformIdTokenClaims: !claimsInIdToken,
    pkce: { required: () => true }, // stricter than its own policy
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true },
      introspection: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: askToSignOut },
      backchannelLogout: { enabled: true }, // a client that registers for it gets `sid` in its ID tokens
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: () => kit.accessTokenSeconds },
    findAccount: (_ctx, sub) => {
      const person = PEOPLE.find((known) => known.sub === sub);
      return person && { accountId: sub, claims: () => claimsOf(person) };
    },
    renderError: (ctx, out) => {
      ctx.type = 'html';
      ctx.body = page('The provider refused', `<pre>${JSON.stringify(out)}</pre>`);
    },
  };
}

function claimsOf({ sub, name, login, email }) {
  return { sub, name, preferred_username: login, email, email_verified: true };
}

function observe(provider, kit) {
  const keep = (kind, value, seconds) => value && kit.issued.push({ kind, value, expiresAt: Date.now() / 1_000 + seconds });
  provider.on('grant.success', (ctx) => {
    kit.grants.push(ctx.oidc.params.grant_type);
    keep('IdToken', ctx.body.id_token, FAR_SECONDS);
  });
  provider.on('authorization_code.saved', (code) => keep('AuthorizationCode', code.jti, code.expiration));
  provider.on('access_token.saved', (token) => keep('AccessToken', token.jti, token.expiration));
  provider.on('refresh_token.saved', (token) => keep('RefreshToken', token.jti, token.expiration));
  provider.on('authorization.success', (ctx) => {
    for (const name of ['state', 'nonce', 'code_challenge']) keep(name, ctx.oidc.params[name], FAR_SECONDS);
  });
}

/** `/interaction/UID`: the form, its answer, the consent, and the way out for someone who changes their mind. */
function withSignInForm(provider, next) {
  return async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return next(req, res);
    try {
      const { prompt } = await provider.interactionDetails(req, res);
      if (prompt.name === 'consent') return await consent(provider, req, res);
      if (req.method !== 'POST') return show(res, 200, signInForm(''));
      const form = await readForm(req);
      if (form.get('action') === 'cancel') {
        return await provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the person cancelled' });
      }
      const person = PEOPLE.find(({ login, password }) => login === form.get('login') && password === form.get('password'));
      if (!person) return show(res, 401, signInForm('<p role="alert">Wrong user name or password.</p>'));
      return await provider.interactionFinished(req, res, { login: { accountId: person.sub } });
    } catch (error) {
      return show(res, 400, page('The provider refused', `<pre>${error.name}</pre>`));
    }
  };
}

function signInForm(note) {
  return page('Sign in to the provider', `${note}<form method="post">
    <label>User <input name="login" autocomplete="username"></label>
    <label>Password <input name="password" type="password"></label>
    <button name="action" value="signin">Sign in</button> <button name="action" value="cancel">Cancel</button></form>`);
}

function askToSignOut(ctx, form) {
  ctx.body = page('Sign out of the provider?', `${form}<button form="op.logoutForm" name="logout" value="yes">Yes, sign me out</button>`);
}

function page(title, body) {
  return `<!doctype html><html lang="en"><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${body}</html>`;
}

function show(res, status, html) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(html);
}

async function readForm(req) {
  let body = '';
  for await (const chunk of req) body += chunk;
  return new URLSearchParams(body);
}

function post(url, form) {
  return request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });
}
