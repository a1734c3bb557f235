// The handler's log of a whole journey, at level trace: the lines that an operator needs, and no secret.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { until } from '../lib/network.mjs';
import { ALICE } from '../lib/people.mjs';
import { startStack } from '../lib/stack.mjs';

let stack;
before(async () => {
  stack = await startStack({ settings: { LOG: 'oauth_proxy=trace,audit=trace,request=trace' } });
});
after(() => stack?.stop()); // it looks through the log for everything that was marked, and all the provider issued

test('a journey leaves an account of itself and nothing that opens a door', async (t) => {
  const person = await stack.person(t);
  t.after(stack.provider.repair);
  const query = 'Kx3query-marker';
  stack.keep(query);
  const keepCookies = async () => stack.keep(...Object.values(await person.cookies(stack.origin)).filter((value) => value.length > 20));

  await person.page.goto(`${stack.origin}/journey?secret=${query}`);
  await keepCookies();
  await person.giveCredentials(ALICE);
  await person.page.waitForURL(/journey/);
  await keepCookies();
  const { logout_url: logoutUrl } = JSON.parse((await person.fetch('/oauth/me')).body);
  stack.keep(logoutUrl.split('token=')[1]);
  await person.fetch('/oauth/refresh', { method: 'POST', headers: { 'X-CSRF': '1' } });
  await person.fetch('/form', { method: 'POST', body: 'note=Kx3body-marker' });
  stack.keep('Kx3body-marker');
  await stack.upstream.stop();
  await person.page.goto(`${stack.origin}/broken?secret=${query}`);
  await stack.upstream.restart();
  await person.page.goto(`${stack.origin}/mended`);
  stack.provider.fail('/token', 500);
  await person.fetch('/oauth/refresh', { method: 'POST', headers: { 'X-CSRF': '1' } });
  await person.page.goto(stack.origin + logoutUrl);

  await until('the log tells of the sign-out', () => stack.host.log().includes('signed_out'));
  const log = stack.host.log();
  for (const word of ['signed_in', 'signed_out', 'refresh_failed', 'upstream_unreachable', 'session.key', 'request.id', 'duration_ms']) {
    assert.ok(log.includes(word), `the log has ${word}`);
  }
});

const cannotTell = process.env.FUNCTIONS_HOST !== 'double' && 'only the double marks which lines are the handler\'s';

test('under the host every line is one JSON object, and every request has one', { skip: cannotTell }, async (t) => {
  const person = await stack.person(t);
  await person.signIn(ALICE, `${stack.origin}/`);

  const lines = await until('the request is logged', () => {
    const found = stack.host.log().split('\n').filter((line) => /^\S+ \w+ +handler /.test(line));
    return found.some((line) => line.includes('"callback"')) && found;
  });

  const events = lines.map((line) => JSON.parse(line.slice(line.indexOf('{'))));
  const answered = events.filter(({ target }) => target === 'request');
  assert.ok(answered.length > 3);
  for (const event of answered) {
    assert.ok(event.timestamp && event.level && event.route && event.status && event['request.id'], JSON.stringify(event));
  }
});
