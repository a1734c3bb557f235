// Node-RED behind the handler: its editor, and the socket over which the editor learns what flows say.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PLACES } from '../lib/host.mjs';
import { until } from '../lib/network.mjs';
import { startNodeRed } from '../lib/node-red.mjs';
import { ALICE } from '../lib/people.mjs';
import { failedSockets } from '../lib/sockets.mjs';
import { startStack } from '../lib/stack.mjs';

/** Its editor with the flow. */
async function openEditor(person, origin) {
  await person.page.goto(`${origin}/`);
  await person.giveCredentials(ALICE);
  await person.page.getByText('Say it').first().waitFor();
}

for (const { title, ...options } of PLACES) {
  describe(`Node-RED, ${title}`, () => {
    let stack;
    before(async () => {
      stack = await startStack({ ...options, https: true, upstream: startNodeRed });
    });
    after(() => stack?.stop());

    test('its editor opens, and a flow is deployed', async (t) => {
      const person = await stack.person(t);
      await openEditor(person, stack.origin);

      const status = await person.page.evaluate(async () => {
        const headers = { 'content-type': 'application/json', 'node-red-api-version': 'v2' };
        const { rev, flows } = await (await fetch('/flows', { headers })).json();
        return (await fetch('/flows', { method: 'POST', headers, body: JSON.stringify({ rev, flows }) })).status;
      });

      assert.equal(status, 200);
    });

    if (options.place === 'none') {
      test('what a flow says reaches the editor over its socket', async (t) => {
        const person = await stack.person(t);
        await openEditor(person, stack.origin);

        await person.page.locator('#red-ui-tab-debug-link-button').click();
        await person.page.locator('.red-ui-flow-node-button-button').first().click();

        await person.page.locator('.red-ui-debug-msg-payload').getByText('said by the flow').waitFor();
      });
    } else {
      test('its socket is refused, and it says so to the person', async (t) => {
        const person = await stack.person(t);
        const reasons = failedSockets(person.page);
        await openEditor(person, stack.origin);

        await person.page.getByText('Lost connection to server').waitFor();

        assert.match(reasons[0], /Unexpected response code: 501/);
        await until('the log names it', () => stack.host.log().includes('websocket_unsupported'));
      });
    }
  });
}
