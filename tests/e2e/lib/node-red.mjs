// Node-RED with one flow: a button of its editor whose message comes back over the editor's socket.

import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { SOURCES, startApplication } from './application.mjs';

const PACKAGE = path.join(SOURCES, 'node-red', 'node_modules', 'node-red');
const FLOW = [
  { id: 'tab', type: 'tab', label: 'Flow' },
  {
    id: 'button', type: 'inject', z: 'tab', name: 'Say it', props: [{ p: 'payload' }], repeat: '', crontab: '', once: false,
    onceDelay: 0.1, topic: '', payload: 'said by the flow', payloadType: 'str', x: 200, y: 100, wires: [['shown']],
  },
  { id: 'shown', type: 'debug', z: 'tab', name: 'Shown', active: true, tosidebar: true, complete: 'payload', x: 400, y: 100, wires: [] },
];

/** Neither a tour nor a question on the first visit. */
const QUIET = ['-D', 'editorTheme.tours=false', '-D', 'telemetry.enabled=false'];

/** Starts it. */
export function startNodeRed() {
  return startApplication(async (folder, port) => {
    await copyFile(path.join(PACKAGE, 'settings.js'), path.join(folder, 'settings.js'));
    await writeFile(path.join(folder, 'flows.json'), JSON.stringify(FLOW));
    const args = [path.join(PACKAGE, 'red.js'), '--userDir', folder, '--port', `${port}`, '-D', 'uiHost=127.0.0.1', ...QUIET];
    return { program: process.execPath, args };
  });
}
