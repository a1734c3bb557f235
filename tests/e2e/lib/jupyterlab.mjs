// JupyterLab with a notebook and a text file; who comes has its token.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { python, startApplication } from './application.mjs';

export const TOKEN = 'e2e-jupyter-token-66d1';
const NOTEBOOK = {
  cells: [{ cell_type: 'code', id: 'sum', execution_count: null, metadata: {}, outputs: [], source: 'print(6 * 7)' }],
  metadata: { kernelspec: { display_name: 'Python 3 (ipykernel)', language: 'python', name: 'python3' } },
  nbformat: 4,
  nbformat_minor: 5,
};

/** Starts it for the browsers of `origin`; `work` is the folder that it shows. */
export async function startJupyterLab(origin) {
  const application = await startApplication(async (folder, port) => {
    const work = path.join(folder, 'work');
    await mkdir(work);
    await writeFile(path.join(work, 'sum.ipynb'), JSON.stringify(NOTEBOOK));
    await writeFile(path.join(work, 'note.txt'), 'as it was\n');
    const names = JSON.stringify([new URL(origin).hostname]);
    const args = [
      'lab', '--allow-root', '--no-browser', '--ip=127.0.0.1', `--port=${port}`, '--ServerApp.port_retries=0',
      `--ServerApp.root_dir=${work}`, `--IdentityProvider.token=${TOKEN}`,
      `--ServerApp.local_hostnames=${names}`, // it listens on loopback, so any other name needs to be listed
    ];
    return { program: python('jupyter'), args, env: { PATH: `${path.dirname(python('jupyter'))}:${process.env.PATH}` }, probe: '/api' };
  });
  return { ...application, work: path.join(application.folder, 'work') };
}
