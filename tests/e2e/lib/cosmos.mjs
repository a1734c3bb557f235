// The Cosmos DB emulator of Microsoft's SDK, as tests/doubles/cosmos-emulator makes a server of it.

import path from 'node:path';

import { freePort } from './network.mjs';
import { start } from './process.mjs';

const PROGRAM = path.resolve(import.meta.dirname, '../../../target/debug/cosmos-emulator');
const LIMIT_MS = 10_000;

/** Starts it; `settings` make a handler keep its sessions there. */
export async function startCosmos() {
  const port = await freePort();
  const emulator = start(PROGRAM, ['--port', `${port}`]);
  await emulator.until('the emulator tells its settings', () => emulator.output().includes('COSMOS_KEY='), LIMIT_MS);
  const settings = Object.fromEntries(emulator.output().trim().split('\n').map((line) => {
    const [name, ...value] = line.split('=');
    return [name, value.join('=')];
  }));
  return { settings, stop: emulator.stop };
}
