// nginx behind the handler: it redirects to a folder with its own port in the address.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PLACES } from '../lib/host.mjs';
import { startNginx } from '../lib/nginx.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

for (const { title, ...options } of PLACES) {
  describe(`nginx, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ ...options, https: true, upstream: startNginx });
    });
    after(() => stack?.stop());

    test('a link to a folder leads into the folder', async (t) => {
      const person = await stack.person(t);
      await person.signIn(ALICE, `${stack.origin}/`);

      await person.page.getByRole('link').click();
      await person.page.getByText('In the folder').waitFor();

      assert.equal(person.page.url(), `${stack.origin}/dir/?a=1`);
    });
  });
}
