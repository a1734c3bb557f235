// Forms that meet no session: what a person typed reaches the application in the end, once, and under the right name.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { plainBody, startFormsApp } from '../lib/forms-app.mjs';
import { FETCH, request, until } from '../lib/network.mjs';
import { checkPage } from '../lib/page-checks.mjs';
import { ALICE, BOB } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

const NOTE = 'Grüße „x“ € <b>&amp;';
const TEXT = 'line 1\nline 2 ☃';
const SOON_SECONDS = 1;
const FAR_SECONDS = 3_600;
const FILE_BYTES = 200_000;
const REFUSED = JSON.stringify({ error: 'invalid_client' });

for (const backForwardCache of [false, true]) {
  describe(`with the back/forward cache ${backForwardCache ? 'on' : 'off'}`, () => {
    let app;
    let stack;
    before(async () => {
      app = await startFormsApp();
      stack = await startStack({ settings: { UPSTREAM_URL: app.url }, backForwardCache });
    });
    after(async () => {
      await stack?.stop();
      await app?.stop();
    });

    const save = (page) => page.getByRole('button', { name: 'Save' }).click();
    const received = (page) => page.getByRole('heading', { name: 'Received' }).waitFor();
    const ended = (page) => page.getByRole('heading', { name: 'Your session has ended' }).waitFor();

    async function open(page, pathname) {
      await page.goto(stack.origin + pathname);
      await type(page);
    }

    async function type(page) {
      await page.locator('[name=note]').fill(NOTE);
      await page.locator('textarea').fill(TEXT);
    }

    /** Follows the page's link to sign in in a new tab, to the end. */
    async function signInElsewhere(person, who) {
      const { context, page } = person;
      const [tab] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Sign in in a new tab' }).click()]);
      await person.giveCredentials(who, tab);
      await tab.waitForURL(`${stack.origin}/oauth/resend`);
      assert.equal(await tab.locator('h1').textContent(), 'You are signed in');
      await tab.close();
    }

    /** Forgets who is signed in at the provider, so that its form comes again. */
    const leaveProvider = (person) => person.context.clearCookies({ domain: 'localhost' });

    /** Someone whose access token has lapsed, and whose refreshes the provider refuses from now on. */
    async function lapsed(t, who) {
      const person = await stack.person(t);
      t.after(stack.provider.repair);
      stack.provider.accessTokenSeconds = SOON_SECONDS;
      await person.signIn(who, `${stack.origin}/form`);
      await type(person.page);
      const { expiresAt } = stack.provider.newest('AccessToken');
      await until('the access token has lapsed', () => Date.now() / 1_000 > expiresAt);
      stack.provider.accessTokenSeconds = FAR_SECONDS;
      stack.provider.overrides.set('/token', (_req, res) => res.writeHead(401, { 'content-type': 'application/json' }).end(REFUSED));
      await leaveProvider(person);
      return person;
    }

    for (const pathname of ['/form', '/latin', '/latin-parts', '/upload']) {
      test(`the form ${pathname} arrives as if it were sent with a session`, async (t) => {
        const person = await stack.person(t);
        const { page } = person;
        await person.signIn(ALICE, stack.origin + pathname);
        await open(page, pathname);
        await save(page);
        await received(page);
        const expected = app.posts.at(-1);
        await open(page, pathname);
        await person.context.clearCookies();
        const { length } = app.posts;

        await save(page);
        await ended(page);
        assert.equal(app.posts.length, length);
        await signInElsewhere(person, ALICE);
        await page.getByRole('button', { name: 'Send again' }).click();
        await page.getByRole('button', { name: `Send as ${ALICE.name}` }).click();
        await received(page);

        const [arrived, ...more] = app.posts.slice(length);
        assert.deepEqual(more, []);
        assert.equal(plainBody(arrived), plainBody(expected));
        assert.equal(arrived.url, expected.url);
        assert.equal(arrived.headers.origin, stack.origin, 'a check of the application against forgery passes');
        assert.equal(page.url(), stack.origin + pathname);
      });
    }

    test('someone whose session lapsed sends with one click, in a browser without scripts too', async (t) => {
      for (const javaScriptEnabled of [true, false]) {
        const person = await lapsed(t, ALICE);
        const { length } = app.posts;
        await save(person.page);
        await ended(person.page);
        stack.provider.repair();
        await signInElsewhere(person, ALICE);

        if (!javaScriptEnabled) await turnScriptsOff(person);
        await person.page.getByRole('button', { name: 'Send again' }).click();
        if (!javaScriptEnabled) await person.page.getByRole('button', { name: 'Continue' }).click();
        await received(person.page);

        assert.equal(app.posts.length, length + 1);
        assert.equal(new URLSearchParams(plainBody(app.posts.at(-1))).get('submit'), 'a field by this name');
      }
    });

    test("another person's session does not send it, and it is not lost", async (t) => {
      const person = await lapsed(t, ALICE);
      const { page } = person;
      const { length } = app.posts;
      await save(page);
      await ended(page);
      stack.provider.repair();
      await signInElsewhere(person, BOB);

      await page.getByRole('button', { name: 'Send again' }).click();
      await page.getByRole('heading', { name: "This form is another person's" }).waitFor();
      assert.equal((await page.content()).includes('Grüße'), false, 'what she typed is not shown');
      await checkPage(page, 'form-of-another-person');
      assert.equal(app.posts.length, length);
      await signInElsewhere(person, ALICE); // the provider asks again, although Bob is signed in there
      await page.getByRole('button', { name: 'Send again' }).click();
      await received(page);

      assert.equal(app.posts.length, length + 1);
      assert.equal(app.posts.at(-1).headers['x-proxy-id-token-name'], ALICE.name);
    });

    test('a form with a file is sent by reloading its page', async (t) => {
      const person = await stack.person(t);
      const { page } = person;
      const folder = await mkdtemp(path.join(tmpdir(), 'oauth-proxy-forms-'));
      t.after(() => rm(folder, { recursive: true, force: true }));
      const file = path.join(folder, 'report.bin');
      await writeFile(file, Buffer.alloc(FILE_BYTES, 'x'));
      await person.signIn(ALICE, `${stack.origin}/upload`);
      await type(page);
      await page.locator('[type=file]').setInputFiles(file);
      await person.context.clearCookies();
      const { length } = app.posts;

      await save(page);
      await ended(page);
      assert.match(await page.locator('p').first().textContent(), /Nothing of what you sent was passed on.*reload it/);
      assert.equal(await page.getByRole('button', { name: 'Send again' }).count(), 0);
      await signInElsewhere(person, ALICE);
      await page.reload();
      await received(page);

      assert.equal(app.posts.length, length + 1);
      assert.ok(app.posts.at(-1).body.length > FILE_BYTES);
    });

    test('a provider that is down when the form is sent loses nothing', async (t) => {
      const person = await lapsed(t, ALICE);
      const { page } = person;
      stack.provider.fail('/token', 503);
      const { length } = app.posts;

      await save(page);
      await page.getByRole('heading', { name: 'The sign-in service does not respond' }).waitFor();
      assert.match(await page.locator('body').textContent(), /Nothing of what you sent was passed on\. This page keeps it.*refresh_unavailable/s);
      await checkPage(page, 'form-kept-while-the-provider-is-down');
      stack.provider.repair();
      const headers = { ...FETCH, cookie: await person.cookieHeader(stack.origin) };
      await until('the session has a token again', async () => (await request(`${stack.origin}/page`, { headers })).status === 200);
      await page.getByRole('button', { name: 'Send again' }).click();
      await received(page);

      assert.equal(app.posts.length, length + 1);
    });
  });
}

/** From the next page on. */
async function turnScriptsOff({ context, page }) {
  const session = await context.newCDPSession(page);
  await session.send('Emulation.setScriptExecutionDisabled', { value: true });
}
