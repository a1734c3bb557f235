// Chromium, and the people who use it: each has a browser profile of their own.

import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
  '--host-resolver-rules=MAP *.example 127.0.0.1', // a real site name for the tests over https
];
const LIMIT_MS = 20_000;

/**
 * Starts the browser that CHROMIUM names. It trusts the certificate of this fingerprint: behind one whose errors are
 * ignored it would cache nothing. Playwright turns the back/forward cache off; `backForwardCache` leaves it on.
 */
export async function startBrowser({ fingerprint, backForwardCache = false } = {}) {
  const trust = fingerprint ? [`--ignore-certificate-errors-spki-list=${fingerprint}`] : [];
  const ignoreDefaultArgs = backForwardCache ? ['--disable-back-forward-cache'] : [];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM, args: [...FLAGS, ...trust], ignoreDefaultArgs,
  });
  return {
    /** Someone with a fresh profile. */
    async person(options = {}) {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(LIMIT_MS);
      return new Person(context, await context.newPage());
    },
    stop: () => browser.close(),
  };
}

/** One browser profile and its first tab. */
class Person {
  constructor(context, page) {
    this.context = context;
    this.page = page;
  }

  tab() {
    return this.context.newPage();
  }

  /** Fills in the provider's form, which must be what the tab shows. */
  async giveCredentials({ login, password }, page = this.page) {
    await page.getByLabel('User').fill(login);
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  /** Opens a page of the application and signs in on the way. */
  async signIn(who, url, page = this.page) {
    await page.goto(url);
    await this.giveCredentials(who, page);
    await page.waitForURL(url);
  }

  /**
   * Signs in at the provider without letting the browser go back: returns the callback's URL, still unused.
   * The tab must show the provider's form.
   */
  async callbackUrl({ login, password }) {
    const form = { login, password, action: 'signin' };
    let url = this.page.url();
    let answer = await this.context.request.post(url, { form, maxRedirects: 0 });
    for (;;) {
      url = new URL(answer.headers().location, url).href;
      if (new URL(url).pathname.endsWith('/callback')) return url;
      answer = await this.context.request.get(url, { maxRedirects: 0 });
    }
  }

  /** Storage of the application's origin in this browser: { name: value }. */
  async cookies(origin) {
    return Object.fromEntries((await this.context.cookies(origin)).map(({ name, value }) => [name, value]));
  }

  /** A Cookie header as this browser would send it to `origin`. */
  async cookieHeader(origin) {
    return Object.entries(await this.cookies(origin)).map(([name, value]) => `${name}=${value}`).join('; ');
  }

  /** A fetch by a script of the page: { status, type, body }. */
  fetch(path, options = {}) {
    return this.page.evaluate(async ([path, options]) => {
      const answer = await fetch(path, options);
      return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() };
    }, [path, options]);
  }

  close() {
    return this.context.close();
  }
}
