// Signing in: where one lands, what a script is told, tabs, abandoned and repeated sign-ins.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FETCH, NAVIGATION, request } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

const loginCookies = (cookies) => Object.keys(cookies).filter((name) => name.includes('-login-'));

test('someone who opens a deep link signs in and lands on it, path and query', async (t) => {
  const person = await stack.person(t);
  const target = '/reports/2026?team=a%20b&team=c&marker=Zq8query-marker';
  stack.keep('Zq8query-marker');

  await person.page.goto(stack.origin + target);
  const asked = person.page.url();
  await person.giveCredentials(ALICE);
  await person.page.waitForURL(stack.origin + target);

  assert.ok(asked.startsWith(`${stack.provider.issuer}/interaction/`), asked);
  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  assert.equal(await person.page.locator('#url').textContent(), target);
});

test('the application gets the access token and none of our cookies', async (t) => {
  const person = await stack.person(t);

  await person.signIn(BOB, `${stack.origin}/headers`);

  const { headers } = stack.upstream.to('/headers').at(-1);
  assert.equal(headers.authorization, `Bearer ${stack.provider.newest('AccessToken').value}`);
  assert.equal(headers['x-proxy-id-token-name'], BOB.name);
  assert.equal(headers['x-forwarded-host'], new URL(stack.origin).host);
  assert.doesNotMatch(headers.cookie ?? '', /oauth-proxy/);
});

test('`me` tells who is signed in and how to sign out, and no token', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);

  const { status, body } = await person.fetch('/oauth/me');

  const me = JSON.parse(body);
  assert.equal(status, 200);
  assert.deepEqual([me.sub, me.name, me.email], [ALICE.sub, ALICE.name, ALICE.email]);
  assert.ok(me.session_expires_in > 1_700 && me.session_expires_in <= 1_800, `${me.session_expires_in}`);
  assert.match(me.logout_url, /^\/oauth\/signout\?token=[\w-]+$/);
  assert.ok(!body.includes(stack.provider.newest('AccessToken').value));
});

test('a fetch without a session is told where to sign in, while the page stays', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/dashboard`);
  await person.context.clearCookies({ name: 'oauth-proxy-session' });

  const { status, type, body } = await person.fetch('/api/orders?open=1');

  const problem = JSON.parse(body);
  assert.deepEqual([status, type], [401, 'application/problem+json']);
  assert.deepEqual([problem.status, problem.code], [401, 'session_required']);
  assert.ok(problem.request_id && problem.title && problem.type && problem.detail);
  assert.equal(problem.login_url, '/oauth/signin?redirect=%2Fdashboard', 'back to the page, not to what it fetched');
  assert.equal(person.page.url(), `${stack.origin}/dashboard`);
});

test('without a session a navigation is sent to sign in and anything else is refused', async () => {
  const table = [
    [NAVIGATION, 302, 'a browser opens a page'],
    [{ accept: 'text/html' }, 302, 'an older browser opens a page'],
    [FETCH, 401, 'a script'],
    [{ ...FETCH, accept: 'text/html' }, 401, 'a script that wants HTML'],
    [{}, 401, 'nothing said'],
    [{ ...NAVIGATION, 'sec-purpose': 'prefetch' }, 401, 'nobody looks'],
  ];
  for (const [headers, expected, why] of table) {
    const answer = await request(`${stack.origin}/page?a=1&a=2`, { headers });

    assert.equal(answer.status, expected, why);
    assert.ok(expected !== 302 || answer.headers.location === '/oauth/signin?redirect=%2Fpage%3Fa%3D1%26a%3D2', why);
  }
});

test('two tabs that sign in at once both end at their own page, signed in', async (t) => {
  const person = await stack.person(t);
  const tabs = [person.page, await person.tab()];
  const urls = ['/left?tab=1', '/right?tab=2'].map((target) => stack.origin + target);
  await Promise.all(tabs.map((tab, index) => tab.goto(urls[index])));

  await Promise.all(tabs.map((tab) => person.giveCredentials(ALICE, tab)));
  await Promise.all(tabs.map((tab, index) => tab.waitForURL(urls[index])));

  for (const tab of tabs) {
    assert.equal(await tab.locator('h1').textContent(), `Hello ${ALICE.name}`);
    await tab.locator('#next').click();
    await tab.waitForURL(`${stack.origin}/next`);
    assert.equal(await tab.locator('h1').textContent(), `Hello ${ALICE.name}`);
  }
  assert.deepEqual(loginCookies(await person.cookies(stack.origin)), [], 'nothing of a finished sign-in is left');
});

test('twenty abandoned sign-ins leave sixteen cookies, and the next works', async (t) => {
  const person = await stack.person(t);
  for (let attempt = 1; attempt <= 20; attempt += 1) await person.page.goto(`${stack.origin}/abandoned/${attempt}`);
  const abandoned = loginCookies(await person.cookies(stack.origin));

  await person.signIn(BOB, `${stack.origin}/finished`);

  assert.equal(abandoned.length, 16);
  assert.equal(await person.page.locator('h1').textContent(), `Hello ${BOB.name}`);
});

test('a callback that is delivered again and again leads to one session, which lives', async (t) => {
  const person = await stack.person(t);
  const exchanges = stack.provider.counter('authorization_code');
  await person.page.goto(`${stack.origin}/delivered`);
  const callback = await person.callbackUrl(ALICE);
  const cookie = await person.cookieHeader(stack.origin);
  const deliver = () => request(callback, { headers: { ...NAVIGATION, 'sec-fetch-site': 'cross-site', cookie } });

  const together = await Promise.all([deliver(), deliver(), deliver()]);
  await person.page.goto(callback);
  const afterwards = await deliver();

  for (const answer of [...together, afterwards]) {
    assert.deepEqual([answer.status, answer.headers.location], [303, '/delivered']);
  }
  await person.page.goto(`${stack.origin}/still-here`);
  assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  assert.equal(exchanges(), 1);
  assert.equal(await stack.provider.isActive(stack.provider.newest('RefreshToken').value), true);
});

test("a callback in another browser than the one that began signs nobody in", async (t) => {
  const [victim, attacker] = [await stack.person(t), await stack.person(t)];
  await attacker.page.goto(`${stack.origin}/mine`);
  const callback = await attacker.callbackUrl(BOB);

  await victim.page.goto(callback);

  assert.equal(await victim.page.locator('h1').textContent(), 'This sign-in cannot be finished');
  assert.equal((await victim.cookies(stack.origin))['oauth-proxy-session'], undefined);
});

test('a hostile return URL ends at the start page', async (t) => {
  const person = await stack.person(t);

  await person.page.goto(`${stack.origin}/oauth/signin?redirect=${encodeURIComponent('/\\evil.example')}`);
  await person.giveCredentials(ALICE);
  await person.page.waitForURL(`${stack.origin}/`);

  assert.equal(await person.page.locator('#url').textContent(), '/');
});
