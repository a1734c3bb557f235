// A real application behind the handler: a program of someone else, in a folder of its own.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { freePort, request } from './network.mjs';
import { start } from './process.mjs';

const START_LIMIT_MS = 60_000;
const PYTHON = path.resolve(import.meta.dirname, '../.cache/python/bin');

/** The files that applications have here. */
export const SOURCES = path.resolve(import.meta.dirname, '../applications');

/** A program that tests/e2e/run installed from PyPI. */
export const python = (name) => path.join(PYTHON, name);

/** Runs a command of an application to its end. */
export const run = promisify(execFile);

/**
 * Starts an application: what `startStack` takes for an upstream. `prepare` gets its folder and port, and gives
 * { program, args, env, probe }, where a response to the path `probe` says that it is there.
 */
export async function startApplication(prepare) {
  const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-application-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let server;
  const stop = async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { program, args, env, probe = '/' } = await prepare(folder, port);
    server = start(program, args, { cwd: folder, env: environment(folder, env) });
    await server.until(`${path.basename(program)} responds`, () => isResponding(url + probe), START_LIMIT_MS);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, folder, log: server.output, stop };
}

/** An application finds its home in its own folder, and nothing of the machine's. */
export function environment(folder, env) {
  return { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: folder, ...env };
}

async function isResponding(url) {
  try {
    return (await request(url)).status < 500;
  } catch {
    return false; // nobody listens yet
  }
}
