// Datasette behind the handler: it writes absolute links to its next page, in HTML and JSON.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startDatasette } from '../lib/datasette.mjs';
import { PLACES } from '../lib/host.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

for (const { title, ...options } of PLACES) {
  describe(`Datasette, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ ...options, https: true, upstream: startDatasette });
    });
    after(() => stack?.stop());

    test('its next page is at the public name, for a person and for a script', async (t) => {
      const person = await stack.person(t);
      await person.signIn(ALICE, `${stack.origin}/archive/documents`);

      const { next_url: next } = JSON.parse((await person.fetch('/archive/documents.json')).body);
      await person.page.getByRole('link', { name: 'Next page' }).click();
      await person.page.getByText('Document 101', { exact: true }).waitFor();

      assert.equal(new URL(next).origin, stack.origin);
      assert.equal(new URL(person.page.url()).origin, stack.origin);
    });
  });
}
