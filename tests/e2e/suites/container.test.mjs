// The image that scripts/image makes: what is in it, as whom it runs, and a person who signs in through it.
//
// It is built and run by buildah, which needs no daemon. Provider and application are the demo's, started with the
// arguments that compose.yaml gives them; loopback is the network that compose.yaml has them share.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { startBrowser } from '../lib/browser.mjs';
import { freePort, request, until } from '../lib/network.mjs';
import { start } from '../lib/process.mjs';

const run = promisify(execFile);
const REPOSITORY = path.resolve(import.meta.dirname, '../../..');
const DEMO = path.join(REPOSITORY, 'target/debug/demo');
const IMAGE = 'oauth-proxy:local';
const SECRET = 'a-secret-of-the-demo';

let folder;
let container;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-container-'));
  container = (await run('buildah', ['from', '--pull-never', IMAGE])).stdout.trim();
});
after(async () => {
  if (container) await run('buildah', ['rm', container]);
  await rm(folder, { recursive: true, force: true });
});

test('the image says how it wants to be run', async () => {
  const { OCIv1: image } = JSON.parse((await run('buildah', ['inspect', '--type', 'image', IMAGE])).stdout);

  assert.equal(image.config.User, '65532:65532');
  assert.deepEqual(image.config.Entrypoint, ['/oauth-proxy']);
  assert.deepEqual(Object.keys(image.config.ExposedPorts), ['8080/tcp']);
  assert.ok(image.config.Env.includes('LISTEN_ADDR=0.0.0.0:8080'));
  assert.equal(image.config.Labels['org.opencontainers.image.version'], 'local');
});

test('the image holds the binary and nothing else', async () => {
  await run('buildah', ['push', '--disable-compression', IMAGE, `dir:${folder}/image`]);
  const { layers } = JSON.parse(await readFile(`${folder}/image/manifest.json`, 'utf8'));

  assert.equal(layers.length, 1);
  const { stdout } = await run('tar', ['-tvf', `${folder}/image/${layers[0].digest.replace('sha256:', '')}`]);
  assert.match(stdout, /^-r-xr-xr-x (root\/root|0\/0) .* oauth-proxy\n$/);
});

test('a mistake in the settings ends it with the list, as anywhere', async () => {
  const failed = await run('buildah', ['run', container, '/oauth-proxy']).then(() => assert.fail('it started'), (error) => error);
  assert.match(failed.stderr, /PUBLIC_BASE_URL/);
});

describe('with the services of compose.yaml', () => {
  const processes = [];
  let browser;
  let origin;
  let handler;
  before(async () => {
    const [handlerPort, providerPort, applicationPort] = [await freePort(), await freePort(), await freePort()];
    origin = `http://localhost:${handlerPort}`;
    const issuer = `http://127.0.0.1:${providerPort}`;
    const application = `http://127.0.0.1:${applicationPort}`;
    const demo = (...args) => processes.push(start(DEMO, args, { env: {} }));
    demo('provider', `--listen=127.0.0.1:${providerPort}`, `--url=${issuer}`, `--handler=${origin}`, `--client-secret=${SECRET}`);
    demo('application', `--listen=127.0.0.1:${applicationPort}`, `--url=${application}`, `--handler=${origin}`, `--provider=${issuer}`);
    const settings = {
      LISTEN_ADDR: `127.0.0.1:${handlerPort}`,
      PUBLIC_BASE_URL: origin,
      OIDC_ISSUER_URL: issuer,
      CLIENT_ID: 'demo',
      CLIENT_SECRET: SECRET,
      UPSTREAM_URL: application,
      HEADER_PRESET: 'sample',
    };
    const env = Object.entries(settings).map(([name, value]) => `--env=${name}=${value}`);
    handler = start('buildah', ['run', ...env, container, '/oauth-proxy'], { env: process.env });
    processes.push(handler);
    const isReady = () => request(`${origin}/oauth/health/ready`).then(({ status }) => status === 200, () => false);
    await handler.until('the handler is ready', isReady, 20_000);
    browser = await startBrowser();
  });
  after(async () => {
    await browser?.stop();
    await Promise.all(processes.map((process) => process.stop()));
  });

  test('somebody signs in', async () => {
    const { page } = await browser.person();
    await page.goto(origin);
    await page.locator('#username').fill('ada');
    await page.locator('#password').fill('lovelace');
    await page.locator('#password').press('Enter');
    await page.waitForURL(`${origin}/`);

    assert.match(await page.textContent('body'), /Ada Lovelace/);
  });

  test('it runs as nobody, and has written nothing', async () => {
    const status = await readFile(`/proc/${await processId(origin)}/status`, 'utf8');
    assert.match(status, /^Uid:\s+65532\s+65532\s+65532\s+65532$/m);
    assert.match(status, /^Gid:\s+65532\s/m);

    const root = (await run('buildah', ['mount', container])).stdout.trim();
    const { stdout } = await run('find', [root, '-uid', '65532']);
    assert.equal(stdout, '');
  });

  test('SIGTERM stops it in order', async () => {
    process.kill(await processId(origin), 'SIGTERM');
    await until('it is gone', () => handler.isOver(), 60_000);
    assert.match(handler.output(), /stopping/);
  });
});

/** The process in the container: the one with these settings that is no buildah. */
async function processId(origin) {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const isOurs = await readFile(`/proc/${pid}/environ`, 'utf8').then((text) => text.includes(`PUBLIC_BASE_URL=${origin}\0`), () => false);
    const name = isOurs ? await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '') : '';
    if (name.trim() === 'oauth-proxy') return Number(pid);
  }
  throw new Error('the process was not found');
}
