// The package of scripts/package, as it is deployed: its files, its binary in an empty root, and a sign-in through it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { close, freePort, listen, request, until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { start } from '../lib/process.mjs';
import { startStack } from '../lib/stack.mjs';
import { certificate } from '../lib/tls-front.mjs';

const run = promisify(execFile);
const REPOSITORY = path.resolve(import.meta.dirname, '../../..');
const ZIP = path.join(REPOSITORY, '.dist/app.zip');
const LARGEST_BYTES = 15 * 1024 * 1024;
/** Whoever isn't root becomes it in a namespace of their own. */
const IN_ROOT = process.getuid() === 0 ? ['chroot'] : ['unshare', '--user', '--map-root-user', 'chroot'];

let folder;
let app;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-package-'));
  app = path.join(folder, 'app');
  await run('unzip', ['-q', ZIP, '-d', app]);
});
after(() => rm(folder, { recursive: true, force: true }));

test('the zip holds what the host reads and nothing else', async () => {
  const found = (await readdir(app, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(app, path.join(entry.parentPath, entry.name)));
  const functions = (await readdir(REPOSITORY)).map((name) => `${name}/function.json`);
  const expected = ['.funcignore', 'bin/oauth-proxy', 'host.json', ...functions.filter((name) => existsSync(path.join(REPOSITORY, name)))];

  assert.deepEqual(found.toSorted(), expected.toSorted());
  assert.equal((await stat(path.join(app, 'bin/oauth-proxy'))).mode & 0o777, 0o755);
  const { customHandler } = JSON.parse(await readFile(path.join(app, 'host.json'), 'utf8'));
  assert.equal(customHandler.description.defaultExecutablePath, 'bin/oauth-proxy');
});

test('the package is small, and its binary needs no library of the machine', async (t) => {
  const { size } = await stat(ZIP);
  const { stdout } = await run('readelf', ['-lW', path.join(app, 'bin/oauth-proxy')]);

  t.diagnostic(`package ${size} bytes, binary ${(await stat(path.join(app, 'bin/oauth-proxy'))).size} bytes`);
  assert.ok(size < LARGEST_BYTES, `${size} bytes`);
  assert.doesNotMatch(stdout, /INTERP/);
});

describe('in a root with nothing else in it', () => {
  let root;
  let provider;
  before(async () => {
    root = await mkdtemp(path.join(folder, 'root-'));
    await copyFile(path.join(app, 'bin/oauth-proxy'), path.join(root, 'oauth-proxy'));
    await chmod(path.join(root, 'oauth-proxy'), 0o755);
    provider = await startMetadata();
    await writeFile(path.join(root, 'ca.pem'), provider.cert);
  });
  after(() => provider?.stop());

  const settings = () => ({
    PUBLIC_BASE_URL: 'http://localhost:7071',
    UPSTREAM_URL: provider.issuer, // check asks it, and anything that responds will do
    OIDC_ISSUER_URL: provider.issuer,
    CLIENT_ID: 'client',
  });
  const check = (more) =>
    run(IN_ROOT[0], [...IN_ROOT.slice(1), root, '/oauth-proxy', 'check'], { env: { PATH: process.env.PATH, ...settings(), ...more } });

  test('it has roots of its own, which don\'t know this provider', async () => {
    const failed = await check({}).then(() => assert.fail('the certificate was trusted'), (error) => error);
    assert.match(failed.stdout, /failed {2}provider.*UnknownIssuer/);
  });

  test('it trusts what SSL_CERT_FILE names', async () => {
    const { stdout } = await check({ SSL_CERT_FILE: '/ca.pem' });
    assert.match(stdout, /ok {6}provider/);
  });

  test('it serves', async (t) => {
    const port = await freePort();
    const begun = performance.now();
    const env = { PATH: process.env.PATH, LISTEN_ADDR: `127.0.0.1:${port}`, ...settings() };
    const handler = start(IN_ROOT[0], [...IN_ROOT.slice(1), root, '/oauth-proxy'], { env });
    t.after(() => handler.stop());

    const isLive = () => request(`http://127.0.0.1:${port}/oauth/health/live`).then(({ status }) => status === 200, () => false);
    await until('the handler answers', isLive, 10_000);

    t.diagnostic(`${Math.round(performance.now() - begun)} ms from chroot to the first answer`);
    t.diagnostic(`memory at rest: ${await residentKilobytes()} kB`);

    async function residentKilobytes() {
      for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
        const isOurs = await readFile(`/proc/${pid}/environ`, 'utf8').then((text) => text.includes(`127.0.0.1:${port}`), () => false);
        const status = isOurs ? await readFile(`/proc/${pid}/status`, 'utf8') : '';
        if (/^Name:\s+oauth-proxy$/m.test(status)) return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]);
      }
      throw new Error('the process was not found');
    }
  });
});

describe('behind the Functions host', () => {
  let stack;
  before(async () => {
    stack = await startStack({ app });
  });
  after(() => stack?.stop());

  test('someone signs in, uses the application and signs out', async (t) => {
    const person = await stack.person(t);

    await person.signIn(ALICE, `${stack.origin}/form?from=deep`);
    await person.page.locator('input').fill('from a package');
    await person.page.getByRole('button', { name: 'Send' }).click();
    await person.page.waitForURL(/thanks/);
    const { logout_url: logoutUrl } = JSON.parse((await person.fetch('/oauth/me')).body);
    await person.page.goto(stack.origin + logoutUrl);
    await person.page.getByRole('button', { name: 'Yes, sign me out' }).click();
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);

    const left = Object.keys(await person.cookies(stack.origin)).filter((name) => name.includes('oauth-proxy'));
    assert.deepEqual(left, []);
  });
});

/** A provider's metadata and keys over https, with a certificate that nobody knows. */
async function startMetadata() {
  const pair = await certificate('IP:127.0.0.1');
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let issuer;
  const server = https.createServer(pair, (asked, answer) => {
    answer.setHeader('content-type', 'application/json');
    if (asked.url !== '/.well-known/openid-configuration') {
      answer.end(JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }));
      return;
    }
    answer.end(JSON.stringify({
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      code_challenge_methods_supported: ['S256'],
    }));
  });
  issuer = `https://127.0.0.1:${await listen(server)}`;
  return { issuer, cert: pair.cert, stop: () => close(server) };
}
