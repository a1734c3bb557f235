// Streamlit with a page of two lines, whose content comes over its socket.

import path from 'node:path';

import { python, SOURCES, startApplication } from './application.mjs';

/** Starts it. */
export function startStreamlit() {
  return startApplication(async (_folder, port) => ({
    program: python('streamlit'),
    args: [
      'run', path.join(SOURCES, 'streamlit', 'app.py'), '--server.headless=true', '--server.address=127.0.0.1',
      `--server.port=${port}`, '--browser.gatherUsageStats=false', '--server.fileWatcherType=none',
    ],
    probe: '/_stcore/health',
  }));
}
