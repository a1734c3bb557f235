// The certified oidc-provider with more demands: pushed requests if it is told to demand them, resources, keys of two
// algorithms. Whoever comes is Ada, and consents.

import { generateKeyPairSync } from 'node:crypto';
import http from 'node:http';

import { Provider } from 'oidc-provider';

import { consent } from './consent.mjs';
import { close, listen } from './network.mjs';

const CLIENT_ID = 'strict-app';
const API = 'https://api.example';

/** Starts a provider for the application at `origin`; `client` is added to what it knows of the application. */
export async function startStrictProvider(origin, { client = {}, demandsPushedRequests = false } = {}) {
  let listener;
  const server = http.createServer((req, res) => listener(req, res));
  const issuer = `http://127.0.0.1:${await listen(server)}`;
  const kit = { issuer, pushed: 0, tokenRequests: [], settings: { OIDC_ISSUER_URL: issuer, CLIENT_ID }, stop: () => close(server) };
  const provider = new Provider(issuer, configuration(origin, client, demandsPushedRequests));
  listener = withConsent(provider, provider.callback());
  provider.on('pushed_authorization_request.success', () => kit.pushed++);
  provider.on('grant.success', (ctx) => kit.tokenRequests.push({ sent: ctx.oidc.body, tokens: ctx.body }));
  return kit;
}

function configuration(origin, client, demandsPushedRequests) {
  const jwk = (type, options, rest) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...rest });
  return {
    clients: [{
      client_id: CLIENT_ID,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      redirect_uris: [`${origin}/oauth/callback`],
      ...client,
    }],
    jwks: { keys: [jwk('rsa', { modulusLength: 2048 }, { kid: 'rsa' }), jwk('ec', { namedCurve: 'P-256' }, { kid: 'ec' })] },
    cookies: { keys: ['e2e cookies are signed with this'] },
    scopes: ['openid', 'offline_access', 'profile', 'email', 'api'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    pkce: { required: () => true },
    features: {
      devInteractions: { enabled: false },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: demandsPushedRequests },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({ scope: 'api', audience: API, accessTokenTTL: 300, accessTokenFormat: 'jwt' }),
      },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, name: 'Ada' }) }),
  };
}

function withConsent(provider, next) {
  return async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return next(req, res);
    const { prompt } = await provider.interactionDetails(req, res);
    if (prompt.name === 'login') return provider.interactionFinished(req, res, { login: { accountId: 'ada' } });
    return consent(provider, req, res);
  };
}
