// The journey with Dex: sign in, refresh with rotation, and a sign-out that the provider knows nothing of.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { giveCredentials, startDex } from '../lib/dex.mjs';
import { FETCH, request, until } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const SOON_SECONDS = 4;
const FAR_SECONDS = 600;

async function signIn(person, who, url) {
  await person.page.goto(url);
  await giveCredentials(person.page, who);
  await person.page.waitForURL(url);
}

const me = async (person) => JSON.parse((await person.fetch('/oauth/me')).body);

describe('Dex', () => {
  let stack;
  before(async () => {
    stack = await startStack({ provider: (origin) => startDex(origin, { tokenSeconds: FAR_SECONDS }) });
  });
  after(() => stack?.stop());

  test('someone signs in and lands on the page that was wanted', async (t) => {
    const person = await stack.person(t);

    await signIn(person, ALICE, `${stack.origin}/reports?year=2026`);

    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
    const { name, email, email_verified: isVerified } = await me(person);
    assert.deepEqual([name, email, isVerified], [ALICE.name, ALICE.email, true]);
  });

  test('a wrong password stays at Dex, and the right one comes back from there', async (t) => {
    const person = await stack.person(t);
    await person.page.goto(`${stack.origin}/wanted`);

    await giveCredentials(person.page, { ...BOB, password: 'not this one' });
    await person.page.locator('#login-error').waitFor();
    await giveCredentials(person.page, BOB);
    await person.page.waitForURL(`${stack.origin}/wanted`);

    assert.equal(await person.page.locator('h1').textContent(), `Hello ${BOB.name}`);
  });

  test('a sign-out ends the session here, and Dex, which keeps none, asks for the password again', async (t) => {
    const person = await stack.person(t);
    await signIn(person, BOB, `${stack.origin}/`);
    const cookie = await person.cookieHeader(stack.origin);
    const { logout_url: logoutUrl } = await me(person);

    await person.page.goto(stack.origin + logoutUrl);
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);
    const replayed = await request(`${stack.origin}/api`, { headers: { ...FETCH, cookie } });
    await person.page.getByRole('link').click();

    await person.page.locator('#password').waitFor();
    assert.equal(replayed.status, 401);
  });
});

describe('Dex, tokens that lapse', () => {
  let stack;
  before(async () => {
    stack = await startStack({ provider: (origin) => startDex(origin, { tokenSeconds: SOON_SECONDS }) });
  });
  after(() => stack?.stop());

  test('each lapse makes one refresh with the rotated token, and nobody notices', async (t) => {
    const person = await stack.person(t);
    await signIn(person, ALICE, `${stack.origin}/`);
    const seen = () => new Set(stack.upstream.requests.map(({ headers }) => headers.authorization)).size;

    for (const lapse of [1, 2, 3]) {
      await until(`refresh ${lapse}`, async () => {
        const statuses = await Promise.all([1, 2, 3, 4].map(async () => (await person.fetch('/api/poll')).status));
        assert.deepEqual(new Set(statuses), new Set([200]));
        return seen() > lapse;
      });
    }

    assert.equal(stack.provider.refusals(), 0);
    assert.equal((await me(person)).name, ALICE.name);
  });
});
