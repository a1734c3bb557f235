// The provider's page frames our logout URL (OpenID Connect Front-Channel Logout 1.0), in a real browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

/** Seen from 127.0.0.1, the first is another site and the second the same one. */
const HOSTS = { elsewhere: 'localhost', sameSite: '127.0.0.1' };

const client = { backchannel_logout_uri: 'http://127.0.0.1:9/', backchannel_logout_session_required: true };

const stacks = {};
before(async () => {
  for (const [name, host] of Object.entries(HOSTS)) stacks[name] = await startStack({ provider: { host, client } });
});
after(() => Promise.all(Object.values(stacks).map((stack) => stack.stop())));

/** Signs in, then frames `frontchannel-logout` with `query` in a page of `origin`. */
async function frame(t, stack, query, origin = stack.provider.issuer) {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const { sid } = JSON.parse((await person.fetch('/oauth/me')).body);
  const url = `${stack.origin}/oauth/frontchannel-logout${query.replace('{sid}', sid)}`;
  const provider = await person.tab();
  await provider.goto(`${origin}/.well-known/openid-configuration`);
  const responded = provider.waitForResponse(url);
  await provider.evaluate((src) => {
    const iframe = document.createElement('iframe');
    iframe.src = src;
    document.body.append(iframe);
    return new Promise((resolve) => { iframe.onload = resolve; });
  }, url);
  const status = (await responded).status();
  const shown = await provider.frames().at(-1).title().catch(() => '');
  return { status, shown, me: (await person.fetch('/oauth/me')).status };
}

for (const name of Object.keys(HOSTS)) {
  test(`with a sid the frame of a provider ends the session (${name})`, async (t) => {
    const { status, shown, me } = await frame(t, stacks[name], '?sid={sid}');

    assert.deepEqual({ status, shown, me }, { status: 200, shown: 'Signed out', me: 401 });
  });
}

test('without a sid the frame of a provider on the same site ends the session', async (t) => {
  const { status, shown, me } = await frame(t, stacks.sameSite, '');

  assert.deepEqual({ status, shown, me }, { status: 200, shown: 'Signed out', me: 401 });
});

test('without a sid the frame of a provider elsewhere ends nothing, and is shown', async (t) => {
  const { status, shown, me } = await frame(t, stacks.elsewhere, '');

  assert.deepEqual({ status, shown, me }, { status: 200, shown: 'Signed out', me: 200 });
});

test('an error is shown in the frame', async (t) => {
  const { status, shown, me } = await frame(t, stacks.elsewhere, '?iss=https://evil.example&sid={sid}');

  assert.deepEqual({ status, shown, me }, { status: 400, shown: 'This address cannot be used', me: 200 });
});

test('a link from elsewhere signs nobody out', async (t) => {
  const stack = stacks.elsewhere;
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const elsewhere = await person.tab();
  await elsewhere.goto(`${stack.provider.issuer}/.well-known/openid-configuration`);

  await elsewhere.evaluate((url) => { location.href = url; }, `${stack.origin}/oauth/frontchannel-logout`);
  await elsewhere.waitForURL(`${stack.origin}/oauth/frontchannel-logout`);

  assert.equal((await person.fetch('/oauth/me')).status, 200);
});
