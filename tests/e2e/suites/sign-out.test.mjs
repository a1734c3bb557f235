// Signing out: here, at the provider, and for whoever kept a cookie.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { FETCH, NAVIGATION, request, until } from '../lib/network.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => {
  stack = await startStack({
    settings: ({ url }) => ({
      UPSTREAM_URL: '',
      ROUTES: JSON.stringify([
        { path: '/', upstream: url, access: 'session' },
        { path: '/public', upstream: url, access: 'anonymous' },
      ]),
    }),
  });
});
after(() => stack?.stop());

async function logoutUrl(person) {
  return JSON.parse((await person.fetch('/oauth/me')).body).logout_url;
}

async function confirmAtProvider({ page }) {
  await page.getByRole('button', { name: 'Yes, sign me out' }).click();
}

test('after signing out the provider asks for the password again', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);

  await person.page.goto(stack.origin + (await logoutUrl(person)));
  await confirmAtProvider(person);
  await person.page.waitForURL(`${stack.origin}/oauth/signedout`);
  const title = await person.page.locator('h1').textContent();
  const cookies = await person.cookies(stack.origin);
  await person.page.getByRole('link').click();

  assert.equal(title, 'You are signed out');
  assert.equal(cookies['oauth-proxy-session'], undefined);
  await person.page.getByLabel('Password').waitFor();
  assert.ok(person.page.url().startsWith(stack.provider.issuer));
});

test('the refresh token is revoked before anyone confirms anything at the provider', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const refreshToken = stack.provider.newest('RefreshToken').value;
  const wasActive = await stack.provider.isActive(refreshToken);

  await person.page.goto(stack.origin + (await logoutUrl(person)));
  await person.page.getByRole('button', { name: 'Yes, sign me out' }).waitFor();

  assert.equal(wasActive, true);
  await until('the refresh token is revoked', async () => !(await stack.provider.isActive(refreshToken)));
  const refused = await stack.provider.refresh(refreshToken);
  assert.deepEqual([refused.status, refused.json().error], [400, 'invalid_grant']);
});

test('the old cookie opens nothing any more, for a page, a script or `me`', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const cookie = await person.cookieHeader(stack.origin);
  const send = (path, headers, method) => request(stack.origin + path, { method, headers: { ...headers, cookie } });
  const whileSignedIn = await send('/replayed', NAVIGATION);

  await person.page.goto(stack.origin + (await logoutUrl(person)));
  const reached = stack.upstream.to('/replayed').length;

  assert.equal(whileSignedIn.status, 200, 'the cookie was good');
  assert.equal((await send('/replayed', NAVIGATION)).status, 302);
  assert.equal((await send('/replayed', FETCH)).status, 401);
  assert.equal((await send('/replayed', { ...FETCH, origin: stack.origin }, 'POST')).status, 401);
  assert.equal((await send('/oauth/me', FETCH)).status, 401);
  assert.equal((await send('/oauth/refresh', { ...FETCH, 'x-csrf': '1' }, 'POST')).status, 401);
  assert.equal(stack.upstream.to('/replayed').length, reached);
});

test('a callback delivered once more after signing out brings nothing back', async (t) => {
  const person = await stack.person(t);
  await person.page.goto(`${stack.origin}/begun`);
  const callback = await person.callbackUrl(ALICE);
  const cookie = await person.cookieHeader(stack.origin);
  await person.page.goto(callback);

  await person.page.goto(stack.origin + (await logoutUrl(person)));
  const again = await request(callback, { headers: { ...NAVIGATION, cookie } });

  assert.equal(again.status, 400);
  assert.match(again.text, /login_over/);
  assert.ok(!again.setCookies.some((cookie) => /-session=[^;]/.test(cookie)), `${again.setCookies}`);
});

test('without its own token a link only asks, and the button signs out', async (t) => {
  const person = await stack.person(t);
  await person.signIn(BOB, `${stack.origin}/`);

  await person.page.goto(`${stack.origin}/oauth/logout`);
  const asked = await person.page.locator('h1').textContent();
  const cookie = await person.cookieHeader(stack.origin);
  const meanwhile = await request(`${stack.origin}/oauth/me`, { headers: { ...FETCH, cookie } });
  await person.page.getByRole('button', { name: 'Sign out' }).click();
  await confirmAtProvider(person);
  await person.page.waitForURL(`${stack.origin}/oauth/signedout`);

  assert.equal(asked, 'Sign out?');
  assert.equal(meanwhile.status, 200);
});

test('a script signs out and is told where to go on', async (t) => {
  const person = await stack.person(t);
  await person.signIn(BOB, `${stack.origin}/`);

  const { status, body } = await person.fetch('/oauth/signout', { method: 'POST' });
  const afterwards = await person.fetch('/api');

  const { location } = JSON.parse(body);
  stack.keep(new URL(location).searchParams.get('id_token_hint'));
  assert.equal(status, 200);
  assert.ok(location.startsWith(`${stack.provider.issuer}/session/end?`), location);
  assert.equal(afterwards.status, 401);
});

test('another tab of the same browser is signed out too', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const other = await person.tab();
  await other.goto(`${stack.origin}/other`);

  await person.page.goto(stack.origin + (await logoutUrl(person)));
  const status = await other.evaluate(async () => (await fetch('/api')).status);

  assert.equal(status, 401);
});

test('signing out leads to the page that was asked for, if it is ours', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);

  await person.page.goto(`${stack.origin}${await logoutUrl(person)}&redirect=%2Fpublic%2Fbye`);
  await confirmAtProvider(person);
  await person.page.waitForURL(`${stack.origin}/public/bye`);

  assert.equal(await person.page.locator('h1').textContent(), 'Hello nobody');
});

test('someone who signs in as another person has one session, the new one', async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);
  const cookie = await person.cookieHeader(stack.origin);

  await person.page.goto(`${stack.origin}/oauth/signin?prompt=login&redirect=%2Fbob`);
  await person.giveCredentials(BOB);
  await person.page.waitForURL(`${stack.origin}/bob`);
  const replayed = await request(`${stack.origin}/api`, { headers: { ...FETCH, cookie } });

  assert.equal(await person.page.locator('h1').textContent(), `Hello ${BOB.name}`);
  assert.equal(replayed.status, 401);
});
