// Every page that a person may see from us: its status, its code, what to do next, and whether anyone can read it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { until } from '../lib/network.mjs';
import { checkPage } from '../lib/page-checks.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const SOON_SECONDS = 1;
const FAR_SECONDS = 3_600;

/** Goes somewhere and returns the answer of the application that the browser ends at. */
async function land(page, go, pathname) {
  const arrived = page.waitForResponse((answer) => answer.request().isNavigationRequest() && new URL(answer.url()).pathname === pathname);
  await Promise.all([arrived, go()]);
  await page.waitForLoadState();
  return arrived;
}

/** `next` is where the page's links lead. */
async function assertTells(page, answer, { status, code, next }) {
  assert.equal(answer.status(), status);
  assert.match(await page.locator('body').textContent(), new RegExp(`Reason ${code} · Request \\S{8,}`));
  const targets = await page.locator('a').evaluateAll((links) => links.map((link) => link.getAttribute('href')));
  assert.deepEqual(targets, next);
}

describe('pages of a running application', () => {
  let stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack?.stop());

  test('someone who cancels at the provider reads that the sign-in failed, and may begin again to the same page', async (t) => {
    const { page } = await stack.person(t);
    await page.goto(`${stack.origin}/wanted?a=1`);

    const answer = await land(page, () => page.getByRole('button', { name: 'Cancel' }).click(), '/oauth/callback');

    await assertTells(page, answer, { status: 403, code: 'login_cancelled', next: ['/oauth/signin?redirect=%2Fwanted%3Fa%3D1'] });
    await checkPage(page, 'sign-in-failed');
    await page.getByRole('link').click();
    await page.getByLabel('Password').waitFor();
  });

  test('when the provider gives no tokens the sign-in can be tried again', async (t) => {
    const person = await stack.person(t);
    t.after(stack.provider.repair);
    await person.page.goto(`${stack.origin}/wanted`);
    stack.provider.fail('/token', 503);

    const answer = await land(person.page, () => person.giveCredentials(ALICE), '/oauth/callback');

    await assertTells(person.page, answer, { status: 503, code: 'provider_unavailable', next: ['/oauth/signin?redirect=%2Fwanted'] });
    await checkPage(person.page, 'provider-down-at-callback');
    stack.provider.repair();
    await person.page.getByRole('link').click();
    await person.page.waitForURL(`${stack.origin}/wanted`);
  });

  test('an application that is down has a page of its own, and nobody is signed out', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);
    await stack.upstream.stop();

    const answer = await person.page.goto(`${stack.origin}/page`);

    await assertTells(person.page, answer, { status: 502, code: 'upstream_unreachable', next: ['/page', '/'] });
    await checkPage(person.page, 'upstream-down');
    await stack.upstream.restart();
    const again = await land(person.page, () => person.page.getByRole('link', { name: 'Try again' }).click(), '/page');
    assert.equal(again.status(), 200);
    assert.equal(await person.page.locator('h1').textContent(), `Hello ${ALICE.name}`);
  });

  test('a form sent after the session ended is told so', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/form`);
    await person.context.clearCookies({ name: 'oauth-proxy-session' });

    const answer = await land(person.page, () => person.page.getByRole('button', { name: 'Send' }).click(), '/form');

    await assertTells(person.page, answer, { status: 401, code: 'session_required', next: ['/oauth/signin?redirect=%2Foauth%2Fresend'] });
    assert.match(await person.page.locator('p').first().textContent(), /^Nothing of what you sent was passed on\./);
    await checkPage(person.page, 'session-expired');
  });

  test('a provider that is down when a token has lapsed asks for patience, and signs nobody out', async (t) => {
    const person = await stack.person(t);
    t.after(stack.provider.repair);
    stack.provider.accessTokenSeconds = SOON_SECONDS;
    await person.signIn(ALICE, `${stack.origin}/`);
    stack.provider.accessTokenSeconds = FAR_SECONDS;
    const { expiresAt } = stack.provider.newest('AccessToken');
    await until('the access token has lapsed', () => Date.now() / 1_000 > expiresAt);
    stack.provider.fail('/token', 503);

    const answer = await person.page.goto(`${stack.origin}/page`);

    await assertTells(person.page, answer, { status: 503, code: 'refresh_unavailable', next: ['/page', '/'] });
    assert.ok(Number(answer.headers()['retry-after']) > 0);
    assert.ok((await person.cookies(stack.origin))['oauth-proxy-session']);
    await checkPage(person.page, 'refresh-unavailable');
  });

  test('a callback that nobody here began says so', async (t) => {
    const { page } = await stack.person(t);

    const answer = await page.goto(`${stack.origin}/oauth/callback?code=nobodys-code&state=nobodys-state`);

    stack.keep('nobodys-code', 'nobodys-state');
    await assertTells(page, answer, { status: 400, code: 'login_unknown', next: ['/oauth/signin'] });
    assert.match(await page.locator('p').first().textContent(), /a private window or an extension may block the cookies/);
    await checkPage(page, 'login-unknown');
  });

  test('an address below our prefix that is none of ours is a page, not the application', async (t) => {
    const { page } = await stack.person(t);

    const answer = await page.goto(`${stack.origin}/oauth/nothing`);

    await assertTells(page, answer, { status: 404, code: 'route_not_found', next: ['/'] });
    await checkPage(page, 'not-found');
    assert.equal(stack.upstream.to('/oauth/nothing').length, 0);
  });

  test('signed out, and the question before', async (t) => {
    const person = await stack.person(t);
    await person.signIn(ALICE, `${stack.origin}/`);

    await person.page.goto(`${stack.origin}/oauth/signout`);
    await checkPage(person.page, 'sign-out-question');
    await person.page.getByRole('button', { name: 'Sign out' }).click();
    await person.page.getByRole('button', { name: 'Yes, sign me out' }).click();
    await person.page.waitForURL(`${stack.origin}/oauth/signedout`);

    assert.equal(await person.page.locator('h1').textContent(), 'You are signed out');
    // The image whose response clears the cache.
    await checkPage(person.page, 'signed-out', [`${stack.origin}/oauth/signedout`]);
  });

  const heading = {
    'en-GB': 'There is nothing here',
    'de-CH': 'Hier ist nichts',
    'fr-FR': 'Il n’y a rien ici',
    'es-419': 'Aquí no hay nada',
    'nl-BE': 'Hier is niets',
    'ja-JP': 'ここには何もありません',
    'pt-BR': 'There is nothing here',
  };
  for (const [locale, expected] of Object.entries(heading)) {
    test(`a browser that asks for ${locale} reads: ${expected}`, async (t) => {
      const { page } = await stack.person(t, { locale });
      const lang = locale === 'pt-BR' ? 'en' : locale.slice(0, 2);

      const answer = await page.goto(`${stack.origin}/oauth/nothing`);

      assert.equal(await page.locator('h1').textContent(), expected);
      assert.equal(answer.headers()['content-language'], lang);
      assert.equal(answer.headers().vary, 'Accept-Language');
      await checkPage(page, `not-found-${locale}`, [], lang);
      await page.goto(`${stack.origin}/oauth/callback?code=nobodys-code&state=nobodys-state`);
      await checkPage(page, `login-unknown-${locale}`, [], lang);
      stack.keep('nobodys-code', 'nobodys-state');
    });
  }

  test('no page allows a script, a foreign resource, a frame or a cache', async (t) => {
    const { page } = await stack.person(t);

    const headers = (await page.goto(`${stack.origin}/oauth/signedout`)).headers();

    assert.match(headers['content-security-policy'], /default-src 'none'/);
    assert.match(headers['content-security-policy'], /frame-ancestors 'none'/);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe/);
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });
});

// An image that would load another and run a script, if it were no image.
const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><script>top.document.title = 'x'</script>
  <image href="http://127.0.0.1:9/elsewhere.png"/><rect width="120" height="40" rx="8" fill="#7a1fa2"/></svg>`;

for (const accent of ['#ffd500', '#7a1fa2', '#777']) {
  describe(`pages with the look of an operator, in ${accent}`, () => {
    let stack;
    before(async () => {
      const settings = {
        PAGE_TITLE: 'Orders & <b>more</b>',
        PAGE_CONTACT: 'mailto:help@contoso.com',
        PAGE_ACCENT: accent,
        PAGE_LOGO: `data:image/svg+xml;base64,${Buffer.from(LOGO).toString('base64')}`,
      };
      stack = await startStack({ settings });
    });
    after(() => stack?.stop());

    test('a page has the name, the logo and whom to ask, and nothing of them runs or loads', async (t) => {
      const { page } = await stack.person(t, { locale: 'fr-FR' });

      await page.goto(`${stack.origin}/oauth/nothing`);

      assert.equal(await page.title(), 'Il n’y a rien ici · Orders & <b>more</b>');
      assert.equal(await page.locator('.brand').textContent(), 'Orders & <b>more</b>');
      assert.equal(await page.locator('.brand img').evaluate((image) => image.naturalWidth), 120);
      assert.equal(await page.getByRole('link', { name: 'help@contoso.com' }).getAttribute('href'), 'mailto:help@contoso.com');
      assert.equal(await page.locator('.contact').textContent(), 'Aide\u00a0: help@contoso.com');
      await checkPage(page, `look-${accent.slice(1)}`, [], 'fr');
    });

    test('a question with two buttons is readable', async (t) => {
      const person = await stack.person(t, { locale: 'ja-JP' });
      await person.signIn(ALICE, `${stack.origin}/`);

      await person.page.goto(`${stack.origin}/oauth/signout`);

      await checkPage(person.page, `look-${accent.slice(1)}-question`, [], 'ja');
    });
  });
}

describe('pages of an application whose provider is away', () => {
  let stack;
  before(async () => {
    const settings = { OIDC_ISSUER_URL: 'http://127.0.0.1:9', CLIENT_ID: 'legacy-app', CLIENT_SECRET: 'e2e-client-secret-7c1f' };
    stack = await startStack({ provider: () => ({ settings, stop() {} }) });
  });
  after(() => stack?.stop());

  test('signing in is not possible right now, and one may try again', async (t) => {
    const { page } = await stack.person(t);

    const answer = await land(page, () => page.goto(`${stack.origin}/page?b=2`), '/oauth/signin');

    await assertTells(page, answer, { status: 503, code: 'provider_unavailable', next: ['/oauth/signin?redirect=%2Fpage%3Fb%3D2', '/'] });
    await checkPage(page, 'provider-down');
  });
});

const isAlone = process.env.FUNCTIONS_HOST === 'none' && 'without a host the handler ends instead';

describe('pages of a service that is not set up', { skip: isAlone }, () => {
  let stack;
  before(async () => {
    const settings = { OIDC_ISSUER_URL: '', CLIENT_ID: '', CLIENT_SECRET: 'e2e-client-secret-7c1f' };
    stack = await startStack({ provider: () => ({ settings, stop() {} }), settings: { SESSION_IDLE_TIMEOUT: 'soon' } });
  });
  after(() => stack?.stop());

  test('it says so, and the log lists every mistake and no secret', async (t) => {
    const { page } = await stack.person(t);

    const answer = await page.goto(`${stack.origin}/page`);

    await assertTells(page, answer, { status: 503, code: 'configuration_incomplete', next: [] });
    await checkPage(page, 'configuration-incomplete');
    const log = stack.host.log();
    assert.deepEqual(['OIDC_ISSUER_URL', 'CLIENT_ID', 'SESSION_IDLE_TIMEOUT'].filter((name) => !log.includes(name)), []);
  });
});
