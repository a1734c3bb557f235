// The Functions host with the handler behind it, in a staged copy of the app folder.
//
// Which host it is comes from FUNCTIONS_HOST: `func` (Azure's own), `double` (FUNCTIONS_HOST_DOUBLE names it) or `none`,
// where the handler listens by itself.

import { copyFile, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { freePort, request } from './network.mjs';
import { start } from './process.mjs';

const REPOSITORY = path.resolve(import.meta.dirname, '../../..');
const START_LIMIT_MS = 60_000;

/** The host's own setting for the path below which it serves functions (host.json, extensions.http). */
export const ROUTE_PREFIX = 'AzureFunctionsJobHost__extensions__http__routePrefix';

/**
 * Places in which applications are tried: behind the host, if there is one, as it is called on Azure, and behind the
 * handler by itself. Each has a title and the options of `startStack`.
 */
export const PLACES = [...new Set([process.env.FUNCTIONS_HOST, 'none'])].map((place) =>
  place === 'none' ? { title: 'directly', place } : { title: 'behind the Functions host', place, prefix: 'app' });

/**
 * Starts the host on `port` with these app settings; resolves when the handler answers through it. `app` is a folder that
 * scripts/package made, instead of one with the handler that was built for tests; `place` another value of FUNCTIONS_HOST.
 */
export async function startHost(port, settings, { app, place = process.env.FUNCTIONS_HOST } = {}) {
  const folder = await (app ? unpacked(app) : stage());
  await writeSettings(folder, settings);
  const host = run(place, port, folder, settings);
  const stop = async () => {
    await host.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await host.until('the handler answers', () => isAnswering(port, settings[ROUTE_PREFIX]), START_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { log: host.output, stop };
}

function run(place, port, folder, settings) {
  const { PATH, HOME } = process.env;
  switch (place) {
    case 'func':
      return start('func', ['start', '--port', `${port}`], { cwd: folder, env: { PATH, HOME } });
    case 'double':
      return start(process.env.FUNCTIONS_HOST_DOUBLE, ['start', folder, '--port', `${port}`], { env: { PATH, HOME } });
    case 'none':
      return start(path.join(folder, 'bin', 'oauth-proxy'), [], { env: { PATH, HOME, LISTEN_ADDR: `127.0.0.1:${port}`, ...settings } });
    default:
      throw new Error('FUNCTIONS_HOST must be func, double or none; tests/e2e/run sets it');
  }
}

/** One more instance of the handler, by itself, on a port of its own. */
export async function startInstance(settings) {
  const { PATH, HOME } = process.env;
  const port = await freePort();
  const instance = start(handler(), [], { env: { PATH, HOME, ...settings, LISTEN_ADDR: `127.0.0.1:${port}` } });
  await instance.until('the instance answers', () => isAnswering(port), START_LIMIT_MS);
  return { url: `http://127.0.0.1:${port}`, stop: instance.stop };
}

/** The app folder as it is deployed: host.json, a folder a function, the binary. */
async function stage() {
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-app-'));
  await copyFile(path.join(REPOSITORY, 'host.json'), path.join(folder, 'host.json'));
  for (const name of await readdir(REPOSITORY)) {
    const source = path.join(REPOSITORY, name);
    if (existsSync(path.join(source, 'function.json'))) await cp(source, path.join(folder, name), { recursive: true });
  }
  await mkdir(path.join(folder, 'bin'));
  await symlink(handler(), path.join(folder, 'bin', 'oauth-proxy'));
  return folder;
}

async function unpacked(app) {
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-app-'));
  await cp(app, folder, { recursive: true });
  return folder;
}

/** The settings of `func start`. */
async function writeSettings(folder, settings) {
  const Values = { FUNCTIONS_WORKER_RUNTIME: 'custom', AzureWebJobsStorage: '', ...settings };
  await writeFile(path.join(folder, 'local.settings.json'), JSON.stringify({ IsEncrypted: false, Values }));
}

function handler() {
  return path.resolve(process.env.OAUTH_PROXY ?? path.join(REPOSITORY, 'target/debug/oauth-proxy'));
}

async function isAnswering(port, prefix) {
  try {
    return (await request(`http://127.0.0.1:${port}${prefix ? `/${prefix}` : ''}/oauth/health/live`)).status === 200;
  } catch {
    return false; // nobody listens yet
  }
}
