// Access tokens lapse; the person at the browser never notices.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FETCH, request, until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const SOON_SECONDS = 2;
const FAR_SECONDS = 3_600;

let stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

/** Signs in with a token that lapses soon (what comes after it lasts), and waits until it has lapsed. */
async function signInAndLapse(person, url) {
  stack.provider.accessTokenSeconds = SOON_SECONDS;
  await person.signIn(ALICE, url);
  stack.provider.accessTokenSeconds = FAR_SECONDS;
  const { value, expiresAt } = stack.provider.newest('AccessToken');
  await until('the access token has lapsed', () => Date.now() / 1_000 > expiresAt);
  return value;
}

test('a lapsed token is refreshed once, and the page goes on as if nothing had been', async (t) => {
  const person = await stack.person(t);
  const lapsed = await signInAndLapse(person, `${stack.origin}/first`);
  const cookie = (await person.cookies(stack.origin))['oauth-proxy-session'];
  const refreshes = stack.provider.counter('refresh_token');
  const visited = [];
  person.page.on('request', (sent) => visited.push(new URL(sent.url()).origin));

  await person.page.locator('#next').click();
  await person.page.waitForURL(`${stack.origin}/next`);
  await person.page.goto(`${stack.origin}/last`);

  const [next, last] = ['/next', '/last'].map((path) => stack.upstream.to(path).at(-1).headers.authorization);
  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  assert.equal(refreshes(), 1);
  assert.notEqual(next, `Bearer ${lapsed}`);
  assert.equal(next, `Bearer ${stack.provider.newest('AccessToken').value}`);
  assert.equal(last, next);
  assert.deepEqual([...new Set(visited)], [stack.origin], 'the browser went nowhere else');
  assert.equal((await person.cookies(stack.origin))['oauth-proxy-session'], cookie, 'a refresh changes no cookie');
});

test('many requests of one page at the moment of expiry make one refresh', async (t) => {
  const person = await stack.person(t);
  await signInAndLapse(person, `${stack.origin}/first`);
  const refreshes = stack.provider.counter('refresh_token');

  const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => person.fetch(`/api/${index}`)));

  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  assert.equal(refreshes(), 1);
});

test('a token that is due is refreshed before it lapses, and nobody waits for it', async (t) => {
  const person = await stack.person(t);
  stack.provider.accessTokenSeconds = 8;
  await person.signIn(ALICE, `${stack.origin}/due`);
  stack.provider.accessTokenSeconds = FAR_SECONDS;
  const { value, expiresAt } = stack.provider.newest('AccessToken');
  const refreshes = stack.provider.counter('refresh_token');

  const statuses = new Set();
  await until('the refresh', async () => {
    statuses.add((await person.fetch('/api/poll')).status);
    return refreshes() > 0;
  });

  assert.ok(Date.now() / 1_000 < expiresAt, 'the first token was still good');
  assert.deepEqual([...statuses], [200]);
  assert.equal(stack.upstream.to('/api/poll')[0].headers.authorization, `Bearer ${value}`);
});

test('a page may ask for a refresh, again and again, and each gives a new token', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const refreshes = stack.provider.counter('refresh_token');
  const post = { method: 'POST', headers: { 'X-CSRF': '1' } };

  const answers = [await person.fetch('/oauth/refresh', post), await person.fetch('/oauth/refresh', post)];
  await person.page.goto(`${stack.origin}/after`);

  assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
  assert.ok(JSON.parse(answers[1].body).access_token_expires_in > 3_500);
  assert.equal(refreshes(), 2);
  assert.equal(stack.upstream.to('/after').at(-1).headers.authorization, `Bearer ${stack.provider.newest('AccessToken').value}`);
});

test('a provider in trouble costs nobody the session', async (t) => {
  const person = await stack.person(t);
  await signInAndLapse(person, `${stack.origin}/first`);
  t.after(stack.provider.repair);
  stack.provider.fail('/token', 503);

  const meanwhile = await person.fetch('/api/meanwhile');
  stack.provider.repair();
  const retried = await until('the provider is asked again', async () => {
    const answer = await person.fetch('/api/again');
    return answer.status !== 503 && answer;
  });

  assert.deepEqual([meanwhile.status, JSON.parse(meanwhile.body).code], [503, 'refresh_unavailable']);
  assert.equal(retried.status, 200);
});

test('a refresh token that the provider no longer honours ends the session, and one can sign in again', async (t) => {
  const person = await stack.person(t);
  await signInAndLapse(person, `${stack.origin}/first`);
  const cookie = await person.cookieHeader(stack.origin);
  const signIns = stack.provider.counter('authorization_code');
  await stack.provider.revoke(stack.provider.newest('RefreshToken').value);

  await person.page.goto(`${stack.origin}/again`);
  await person.page.waitForURL(`${stack.origin}/again`);
  const replayed = await request(`${stack.origin}/api`, { headers: { ...FETCH, cookie } });

  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`, 'the provider still knew the person');
  assert.equal(signIns(), 1);
  assert.equal(replayed.status, 401);
});
