// Everything a suite needs, started together: provider, upstream, host with handler, and a browser.
//
// When it stops it looks through the handler's log for anything that has no business there.

import assert from 'node:assert/strict';

import { startBrowser } from './browser.mjs';
import { ROUTE_PREFIX, startHost } from './host.mjs';
import { startGateway } from './gateway.mjs';
import { freePort } from './network.mjs';
import { startProvider } from './oidc-provider.mjs';
import { PEOPLE } from './people.mjs';
import { startTlsFront } from './tls-front.mjs';
import { startUpstream } from './upstream.mjs';

/**
 * Starts a stack. `settings` are added to the handler's, or a function of the upstream that gives them; `provider` are
 * options of `startProvider`, or a function of the origin that gives another provider; `upstream` is a function of the
 * origin that starts another application. With `https` browsers know the application as https://app.example:PORT. `app`
 * is a folder that scripts/package made, `place` where the handler runs (lib/host.mjs). With `prefix` a stand-in for the
 * gateway puts it before every path. `backForwardCache` leaves the browser's on.
 */
export async function startStack({
  settings = {}, provider: options = {}, upstream: startOther = startUpstream, https = false, app, place, prefix,
  backForwardCache,
} = {}) {
  const running = [];
  const begin = async (part) => {
    running.push(await part);
    return running.at(-1);
  };
  const port = await freePort();
  try {
    const front = https ? await begin(prefix ? startGateway(port, prefix) : startTlsFront(port)) : { origin: `http://127.0.0.1:${port}` };
    const { origin } = front;
    const upstream = await begin(startOther(origin));
    const provider = await begin(typeof options === 'function' ? options(origin) : startProvider(origin, options));
    const all = {
      PUBLIC_BASE_URL: origin,
      UPSTREAM_URL: upstream.url,
      HEADER_PRESET: 'sample',
      ...(prefix && { [ROUTE_PREFIX]: prefix }),
      ...provider.settings,
      ...(typeof settings === 'function' ? settings(upstream) : settings),
    };
    const host = await begin(startHost(port, all, { app, place }));
    const browser = await begin(startBrowser({ fingerprint: front.fingerprint, backForwardCache }));
    return stack({ origin, port, upstream, provider, host, browser, running, settings: all });
  } catch (error) {
    await stopAll(running);
    throw error;
  }
}

function stack({ origin, port, upstream, provider, host, browser, running, settings }) {
  const secrets = new Set(PEOPLE.flatMap(({ email, password, name }) => [email, password, name]));
  const keep = (...values) => values.filter(Boolean).forEach((value) => secrets.add(value));
  return {
    origin,
    /** Address at which the host listens, for raw requests that don't go through TLS. */
    local: `http://127.0.0.1:${port}`,
    upstream,
    provider,
    host,
    /** The handler's settings. */
    settings,
    /** Marks values that must not be in the log. */
    keep,
    /** Someone with a fresh browser profile, for one test: it is closed when the test ends. */
    async person(test, options) {
      const person = await browser.person(options);
      test.after(async () => {
        const ours = Object.entries(await person.cookies(origin)).filter(([name]) => name.includes('oauth-proxy'));
        keep(...ours.map(([, value]) => value));
        await person.close();
      });
      return person;
    },
    async stop() {
      await stopAll(running);
      keep(provider.settings.CLIENT_SECRET, ...(provider.issued ?? []).map(({ value }) => value));
      assertNothingSecret(host.log(), secrets);
    },
  };
}

async function stopAll(running) {
  for (const part of running.toReversed()) await part.stop();
}

/** Fails with the first line that holds a secret. */
export function assertNothingSecret(log, secrets) {
  const leak = log.split('\n').find((line) => [...secrets].some((secret) => line.includes(secret)));
  assert.equal(leak, undefined, 'the handler logged what it must not');
}
