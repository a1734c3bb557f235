// Django's admin behind the handler: its own sign-in, a form with an upload, a redirect that it builds from its name.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ADMINISTRATOR, startDjango } from '../lib/django.mjs';
import { PLACES } from '../lib/host.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

for (const { title, ...options } of PLACES) {
  describe(`Django, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ ...options, https: true, upstream: startDjango });
    });
    after(() => stack?.stop());

    async function signIn(person, url) {
      await person.page.goto(url);
      await person.giveCredentials(ALICE);
    }

    test('its own sign-in, a form with a file, and its sign-out', async (t) => {
      const person = await stack.person(t);
      const { page } = person;
      const scan = randomBytes(300_000);

      await signIn(person, `${stack.origin}/admin/`);
      await page.locator('#id_username').fill(ADMINISTRATOR.login);
      await page.locator('#id_password').fill(ADMINISTRATOR.password);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page.waitForURL(`${stack.origin}/admin/`);
      await page.locator('.model-document .addlink').click();
      await page.locator('#id_title').fill('Grüße & more');
      await page.locator('#id_scan').setInputFiles({ name: 'scan 1.bin', mimeType: 'application/octet-stream', buffer: scan });
      await page.locator('input[name=_save]').click();
      await page.getByText('was added successfully').waitFor();
      const [listed, stored] = [page.url(), await readFile(path.join(stack.upstream.folder, 'media', 'scans', 'scan_1.bin'))];
      await page.getByRole('button', { name: 'Log out' }).click();

      assert.equal(listed, `${stack.origin}/admin/archive/document/`);
      assert.ok(stored.equals(scan), 'the file arrived byte for byte');
      await page.getByText('Logged out').first().waitFor();
    });

    test('a redirect to its own name stays at the public one', async (t) => {
      const person = await stack.person(t);

      await signIn(person, `${stack.origin}/moved/`);
      await person.page.getByText('Arrived').waitFor();

      assert.equal(person.page.url(), `${stack.origin}/arrived/`);
    });
  });
}
