// A child process whose output is kept, and which is ended by its own id.
//
// Knows nothing of what runs.

import { spawn } from 'node:child_process';

import { until } from './network.mjs';

const PATIENCE_MS = 10_000;

// A suite that is ended early (the runner's time limit sends SIGTERM) takes its programs with it.
const living = new Set();
process.once('SIGTERM', () => process.exit(1));
process.once('exit', () => living.forEach((child) => child.kill('SIGTERM')));

/** Starts a program. Its output is `output()`; `stop()` ends it and waits. */
export function start(program, args, { cwd, env } = {}) {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  living.add(child);
  const pieces = [];
  let failure;
  let isOver = false;
  child.stdout.on('data', (piece) => pieces.push(piece));
  child.stderr.on('data', (piece) => pieces.push(piece));
  child.on('error', (error) => {
    failure = error;
    isOver = true;
  });
  child.on('exit', () => {
    living.delete(child);
    isOver = true;
  });

  const output = () => Buffer.concat(pieces).toString();
  return {
    output,
    isOver: () => isOver,
    /** Waits for `condition`; fails with the output when the program ends before. */
    async until(what, condition, limitMs) {
      await until(what, async () => {
        if (isOver) throw new Error(`${program} ended while waiting: ${what}\n${failure ?? output()}`);
        return condition();
      }, limitMs);
    },
    async stop() {
      if (isOver) return;
      child.kill('SIGTERM');
      await until(`the end of process ${child.pid}`, () => isOver, PATIENCE_MS).catch(() => child.kill('SIGKILL'));
      await until(`the end of process ${child.pid}`, () => isOver, PATIENCE_MS);
    },
  };
}
