// Streamlit behind the handler: everything that its page shows comes over a socket.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PLACES } from '../lib/host.mjs';
import { until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { failedSockets } from '../lib/sockets.mjs';
import { startStack } from '../lib/stack.mjs';
import { startStreamlit } from '../lib/streamlit.mjs';

for (const { title, ...options } of PLACES) {
  describe(`Streamlit, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ ...options, https: true, upstream: startStreamlit });
    });
    after(() => stack?.stop());

    if (options.place === 'none') {
      test('its page comes up and responds to what is typed', async (t) => {
        const person = await stack.person(t);
        await person.page.goto(`${stack.origin}/`);
        await person.giveCredentials(ALICE);
        await person.page.getByText('Hello nobody').waitFor();

        await person.page.getByRole('textbox').fill('Grete');
        await person.page.keyboard.press('Enter');

        await person.page.getByText('Hello Grete').waitFor();
      });
    } else {
      test('its socket is refused, and the log says why and what to do', async (t) => {
        const person = await stack.person(t);
        const reasons = failedSockets(person.page);
        await person.page.goto(`${stack.origin}/`);
        await person.giveCredentials(ALICE);

        const [reason] = await until('the socket fails', () => reasons.length > 0 && reasons);
        const line = await until('the log names it', () => stack.host.log().split('\n').find((line) => line.includes('websocket_unsupported')));

        assert.match(reason, /Unexpected response code: 501/);
        assert.match(line, /docs\/operations\.md/);
      });

      test('a person who reloads the empty page is told, and may go on', async (t) => {
        const person = await stack.person(t);
        const reasons = failedSockets(person.page);
        await person.page.goto(`${stack.origin}/`);
        await person.giveCredentials(ALICE);
        await until('it keeps asking', () => reasons.length >= 4);

        await person.page.reload();

        await person.page.getByText('This application may not work here').waitFor();
        await person.page.getByRole('link', { name: 'Open it anyway' }).click();
        await until('the application is back', async () => (await person.page.title()) !== 'This application may not work here');
      });
    }
  });
}
