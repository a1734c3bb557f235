// Dex, what many clusters run: one Go program with people in its configuration and everything else in memory.
//
// tests/e2e/run builds it from providers/dex. It has no sign-out, no revocation and no back channel.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { freePort, request } from './network.mjs';
import { ALICE, BOB } from './people.mjs';
import { start } from './process.mjs';

const PROGRAM = path.resolve(import.meta.dirname, '../.cache/dex');
const START_LIMIT_MS = 30_000;
const CLIENT_ID = 'legacy-app';
const CLIENT_SECRET = 'e2e-dex-secret-93be';

/** bcrypt of the passwords in people.mjs. */
const HASHES = new Map([
  [ALICE, '$2a$10$RzXeK2JxZ5gR6Rw3zQTMnuaeBNaBZ0vGXoJYor6UR3FVfeLYy9S3O'],
  [BOB, '$2a$10$4ZqN9SGkqqF7EsfRUn1jq.REL2o5gjghHPKzBb68HHMvJZZOtsWWS'],
]);

/** Starts Dex for the application at `origin`: what `startStack` takes for a provider. */
export async function startDex(origin, { tokenSeconds }) {
  const port = await freePort();
  const issuer = `http://localhost:${port}/dex`;
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-dex-'));
  const file = path.join(folder, 'config.json'); // YAML has JSON in it
  await writeFile(file, JSON.stringify(configuration(issuer, port, origin, tokenSeconds)));
  const server = start(PROGRAM, ['serve', file], { env: { PATH: process.env.PATH } });
  const stop = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await server.until('Dex responds', () => isResponding(issuer), START_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    issuer,
    settings: { OIDC_ISSUER_URL: issuer, CLIENT_ID, CLIENT_SECRET },
    /** Number of requests of its token endpoint that it has logged with an error. */
    refusals: () => server.output().split('\n').filter((line) => /level=ERROR/.test(line)).length,
    stop,
  };
}

/** Fills in Dex's own form, which must be what the tab shows. */
export async function giveCredentials(page, { email, password }) {
  await page.locator('#login').fill(email);
  await page.locator('#password').fill(password);
  await page.locator('#submit-login').click();
}

function configuration(issuer, port, origin, tokenSeconds) {
  return {
    issuer,
    storage: { type: 'memory' },
    web: { http: `127.0.0.1:${port}` },
    oauth2: { skipApprovalScreen: true },
    // Its access tokens are JWTs that live as long as its ID tokens. Refresh tokens rotate, without any reuse.
    expiry: { idTokens: `${tokenSeconds}s`, refreshTokens: { reuseInterval: '0s' } },
    staticClients: [{ id: CLIENT_ID, name: 'Legacy application', secret: CLIENT_SECRET, redirectURIs: [`${origin}/oauth/callback`] }],
    enablePasswordDB: true,
    staticPasswords: [...HASHES].map(([{ email, name, sub }, hash]) => ({ email, hash, username: name, userID: sub })),
  };
}

async function isResponding(issuer) {
  try {
    return (await request(`${issuer}/healthz`)).status === 200;
  } catch {
    return false; // nobody listens yet
  }
}
