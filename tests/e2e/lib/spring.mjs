// Spring Authorization Server with its own pages: providers/spring, built by tests/e2e/run.
//
// Its clients are settings of Spring Boot, so a test chooses what one may do. Issuer and pages are on localhost, its
// redirect URIs on 127.0.0.1: it refuses `localhost` there.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { freePort, request } from './network.mjs';
import { start } from './process.mjs';

const PROGRAM = path.resolve(import.meta.dirname, '../.cache/spring/provider.jar');
const START_LIMIT_MS = 90_000;
const CLIENT = 'spring.security.oauth2.authorizationserver.client.app';
const CLIENT_ID = 'legacy-app';
const CLIENT_SECRET = 'e2e-spring-secret-20fa';

/**
 * Starts it for the application at `origin`: what `startStack` takes for a provider. `client` are settings of its client
 * beyond the common ones, by their names below CLIENT; the secret is known unless it has another way to authenticate.
 */
export async function startSpring(origin, { tokenSeconds, method = 'client_secret_basic', client = {} }) {
  const port = await freePort();
  const issuer = `http://localhost:${port}`;
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-spring-'));
  const settings = Object.entries({
    'server.address': '127.0.0.1',
    'server.port': port,
    'logging.level.root': 'warn',
    'server.tomcat.basedir': folder,
    'server.tomcat.accesslog.enabled': true,
    'server.tomcat.accesslog.directory': folder,
    'server.tomcat.accesslog.file-date-format': '',
    'server.tomcat.accesslog.buffered': false,
    'server.tomcat.accesslog.pattern': '%m %U %s',
    'spring.security.oauth2.authorizationserver.issuer': issuer,
    [`${CLIENT}.registration.client-id`]: CLIENT_ID,
    [`${CLIENT}.registration.client-secret`]: `{noop}${CLIENT_SECRET}`,
    [`${CLIENT}.registration.client-authentication-methods`]: method,
    [`${CLIENT}.registration.authorization-grant-types`]: 'authorization_code,refresh_token',
    [`${CLIENT}.registration.redirect-uris`]: `${origin}/oauth/callback`,
    [`${CLIENT}.registration.post-logout-redirect-uris`]: `${origin}/oauth/signedout`,
    [`${CLIENT}.registration.scopes`]: 'openid,profile',
    [`${CLIENT}.require-proof-key`]: true,
    [`${CLIENT}.token.access-token-time-to-live`]: `${tokenSeconds}s`,
    [`${CLIENT}.token.reuse-refresh-tokens`]: false,
    ...Object.fromEntries(Object.entries(client).map(([name, value]) => [`${CLIENT}.${name}`, value])),
  }).map(([name, value]) => `--${name}=${value}`);
  const { PATH, HOME, JAVA_HOME } = process.env;
  const java = path.join(JAVA_HOME, 'bin', 'java');
  // It lives a minute: start soon rather than run fast.
  const server = start(java, ['-XX:TieredStopAtLevel=1', '-Xmx256m', '-jar', PROGRAM, ...settings], { env: { PATH, HOME } });
  const stop = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await server.until('Spring responds', () => isResponding(issuer), START_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    issuer,
    settings: {
      OIDC_ISSUER_URL: issuer, CLIENT_ID, SCOPES: 'openid profile', // what it doesn't know of a client it refuses
      ...(method.startsWith('client_secret') && { CLIENT_SECRET }),
    },
    /** Number of requests that it has logged with this method, path and status. */
    async count(call) {
      const log = await readFile(path.join(folder, 'access_log.log'), 'utf8');
      return log.split('\n').filter((line) => line === call).length;
    },
    stop,
  };
}

/** Fills in Spring's own form, which must be what the tab shows. */
export async function giveCredentials(page, { login, password }) {
  await page.locator('#username').fill(login);
  await page.locator('#password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

async function isResponding(issuer) {
  try {
    return (await request(`${issuer}/.well-known/openid-configuration`)).status === 200;
  } catch {
    return false; // nobody listens yet
  }
}
