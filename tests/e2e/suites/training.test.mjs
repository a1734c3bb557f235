// The working day by which a release is laid out (tests/bench/train.mjs): each of its requests gets the response it names.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const REPOSITORY = path.resolve(import.meta.dirname, '../../..');
const HANDLER = process.env.OAUTH_PROXY ?? path.join(REPOSITORY, 'target/debug/oauth-proxy');

test('a handler that is trained answers as the day expects, and ends by itself', async () => {
  const train = ['tests/bench/train.mjs', '--handler', HANDLER, '--seconds', '0.5'];

  const { stdout } = await run(process.execPath, train, { cwd: REPOSITORY });

  assert.match(stdout, /^trained by \d+ requests$/m);
});
