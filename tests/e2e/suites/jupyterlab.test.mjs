// JupyterLab behind the handler: its writes compare Origin with Host, its kernels need sockets, its five megabytes a cache.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startBrowser } from '../lib/browser.mjs';
import { PLACES } from '../lib/host.mjs';
import { startJupyterLab, TOKEN } from '../lib/jupyterlab.mjs';
import { until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';
import { watchTraffic } from '../lib/traffic.mjs';

const MOST = 1.1;
const FIRST_LOAD_MS = 60_000; // its first page after a start takes a while, whoever asks for it
const COOKIE = '__Host-oauth-proxy-session';

/**
 * The bytes of two visits by address, each address once: JupyterLab asks for its settings (140 KB) once or twice, and for its
 * icon (30 KB) now and then, whoever serves them. `pick` chooses between the two visits.
 */
async function visits(person, url, pick) {
  const [first, second] = [await visit(person, url), await visit(person, url)];
  const paths = new Set([...first.keys(), ...second.keys()]);
  return [...paths].map((path) => pick(first.get(path) ?? 0, second.get(path) ?? 0)).reduce((sum, bytes) => sum + bytes, 0);
}

/** The bytes by address of a visit in a tab of its own, until the folder's files are listed and nothing more is loaded. */
async function visit(person, url) {
  const page = await person.tab();
  const traffic = await watchTraffic(page);
  await page.goto(url, { waitUntil: 'networkidle' });
  // Behind the host JupyterLab's sockets are refused, and its person is told once.
  const notice = page.getByRole('link', { name: 'Open it anyway' });
  const files = page.getByText('note.txt').first();
  await files.or(notice).first().waitFor();
  if (await notice.isVisible()) await notice.click();
  await files.waitFor();
  await page.close();
  return traffic.addresses();
}

let withoutUs;
before(async () => {
  const [browser, application] = [await startBrowser(), await startJupyterLab('http://127.0.0.1')];
  const person = await browser.person();
  await person.page.goto(`${application.url}/lab/tree/note.txt?token=${TOKEN}`);
  await person.page.getByRole('tab', { name: 'note.txt' }).waitFor({ timeout: FIRST_LOAD_MS });
  withoutUs = await visits(person, `${application.url}/lab`, Math.max);
  await browser.stop();
  await application.stop();
});

for (const { title, ...options } of PLACES) {
  describe(`JupyterLab, ${title}`, () => {
    let stack;
    before(async () => {
      const settings = { SESSION_IDLE_TIMEOUT: '1m' }; // the cookie slides after a tenth of it
      stack = await startStack({ ...options, settings, https: true, upstream: startJupyterLab });
    });
    after(() => stack?.stop());

    async function open(person, file) {
      await person.page.goto(`${stack.origin}/lab/tree/${file}?token=${TOKEN}`);
      await person.giveCredentials(ALICE);
      await person.page.getByRole('tab', { name: file }).waitFor({ timeout: FIRST_LOAD_MS });
    }

    test('a file is changed and saved', async (t) => {
      const person = await stack.person(t);
      const { page } = person;
      await open(person, 'note.txt');

      await page.locator('.jp-FileEditor .cm-content').click();
      await page.keyboard.press('Control+End');
      await page.keyboard.type('and as it is');
      await page.keyboard.press('Control+s');

      const saved = () => readFile(path.join(stack.upstream.work, 'note.txt'), 'utf8');
      await until('the file is saved', async () => (await saved()) === 'as it was\nand as it is');
    });

    test(`a second visit, after the cookie slid, loads at most ${MOST} times what it loads without us`, async (t) => {
      const person = await stack.person(t);
      await open(person, 'note.txt');
      const session = async () => (await person.cookies(stack.origin))[COOKIE];
      const first = await session();
      await until('the cookie slides', async () => {
        await person.fetch('/api/status');
        return (await session()) !== first;
      });

      const throughUs = await visits(person, `${stack.origin}/lab`, Math.min);

      t.diagnostic(`${throughUs} bytes, ${withoutUs} without us`);
      assert.ok(throughUs <= MOST * withoutUs, `${throughUs} bytes through us, ${withoutUs} without`);
    });

    const onlyDirectly = options.place === 'none' ? test : () => {}; // the host passes no sockets, and kernels speak over them
    onlyDirectly('a cell is run', async (t) => {
      const person = await stack.person(t);
      await open(person, 'sum.ipynb');

      await person.page.locator('.jp-Cell .cm-content').first().click();
      await person.page.getByText('Python 3 (ipykernel) | Idle').waitFor();
      await person.page.keyboard.press('Shift+Enter');

      await person.page.locator('.jp-OutputArea-output').getByText('42').waitFor();
    });
  });
}
