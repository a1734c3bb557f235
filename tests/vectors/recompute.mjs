// Computes the frozen vectors of the Rust tests again and exits with 1 if the sources hold another value.
// Run: node tests/vectors/recompute.mjs

import { readFileSync } from 'node:fs';

import * as format from './formats.mjs';

const bytes = (length, value) => Buffer.alloc(length, value);
const json = JSON.stringify;

const issuer = 'https://op.example';
const clientId = 'client';
const origin = 'https://app.example';
const now = 1_800_000_000;
const end = now + 28_800;
const accessTokenExpiresAt = now + 3_600;
const refreshAt = now + 2_880;

const seed = bytes(32, 3);
const session = format.session(seed, 'frozen');
const sessionKey = format.sessionKey(session.id);
const ticket = format.ticket(session, { issuedAt: now, lastSeen: now + 600, expiresAt: end });

const login = format.pendingLogin({
  state: bytes(32, 1),
  nonce: bytes(32, 2),
  codeVerifier: bytes(32, 4),
  seed,
  issuedAt: now,
  maxAge: 600,
  returnUrl: '/orders?page=2',
});
const rememberedLogin = format.rememberedLogin({ sequence: 7, ticket, pending: login });
const loginCookieName = format.loginCookieName('__Host-app', bytes(32, 1).toString('hex'));
const cookieKey = { origin, key: bytes(32, 1), salt: bytes(16, 9) };
const cookie = (name, plaintext) => format.cookie(plaintext, { name, kid: 'c1', ...cookieKey });
const loginCookie = format.cookie(rememberedLogin, {
  name: loginCookieName,
  kid: 'c1',
  ...cookieKey,
  origin: `${origin} ${issuer} ${clientId}`,
});

const requestPart = json({ access_token: 'access', id_token: 'id', claims: { name: 'Ada' } });
const refreshPart = json({
  refresh_token: 'refresh',
  id_token: 'id',
  claims: { id_token: { name: 'Ada', sub: 'ada' }, userinfo: { groups: ['staff'] } },
});
// As a byte string of Rust: the layout, and three texts behind their lengths.
const behindLength = (text) => `\\0\\0\\0\\x${bytes(1, text.length).toString('hex')}${text.replaceAll('"', '\\"')}`;
const requestLayout = `\\x01${['access', 'id', json({ name: 'Ada' })].map(behindLength).join('')}`;
const context = { kid: 'k1', key: bytes(32, 6), generation: 1, accessTokenExpiresAt, refreshAt, issuer, clientId };
const requestSealed = format.part('request', requestPart, session, { ...context, salt: bytes(32, 7) });
const target = format.targetKey('audience', 'orders', 'read write');
const routePart = json({ access_token: 'route' });
const routeTimes = { accessTokenExpiresAt: now + 1_800, refreshAt: now + 1_440 };
const routeContext = { ...context, ...routeTimes, salt: bytes(32, 9), target };
const routeSealed = format.part('route', routePart, session, routeContext);
const refreshSealed = format.part('refresh', refreshPart, session, { ...context, salt: bytes(32, 8) });

// Of another session: what the ciphers alone are tested with.
const plain = { id: bytes(16, 4), secret: bytes(32, 5) };
const plainRequest = format.part('request', 'frozen', plain, { ...context, salt: bytes(32, 7) });
const withoutHints = { ...context, generation: 258, accessTokenExpiresAt: null, refreshAt: null };
const plainRefresh = format.part('refresh', 'frozen', plain, { ...withoutHints, salt: bytes(32, 8) });
const plainRoute = format.part('route', 'frozen', plain, { ...context, salt: bytes(32, 9), target: bytes(16, 9) });
const plainForm = format.keptForm('frozen', { kid: 'new', ...cookieKey });
const plainClaims = format.claims('frozen', { kid: 'new', ...cookieKey });
const plainCookie = format.cookie('frozen', { name: '__Host-session', kid: 'new', ...cookieKey });

const lease = (purpose) => ({ purpose, holder: 'holder', lapses_at: now + 40, unanswered: 1, rests: 2 });
const item = (salt, sealed) => ({
  kid: 'k1',
  salt: format.base64url(bytes(32, salt)),
  ciphertext: format.base64url(sealed),
});
const sessionItem = {
  id: sessionKey,
  v: 2,
  generation: 1,
  access_token_expires_at: accessTokenExpiresAt,
  refresh_at: refreshAt,
  expires_at: end,
  lease: lease('Refreshing'),
  parts: { request: item(7, requestSealed), refresh: item(8, refreshSealed) },
  ended_by: null,
  ttl: end - now,
};
const routeItems = [
  {
    target: format.base64url(target),
    token: { ...item(9, routeSealed), expires_at: routeTimes.accessTokenExpiresAt, refresh_at: routeTimes.refreshAt },
    pause: null,
  },
  {
    target: 'AAECAwQFBgcICQoLDA0ODw',
    token: null,
    pause: { until: now + 60, backoffs: 1, unanswered: 0, refusal: 'ConsentRequired' },
  },
];
const tombstone = { ...sessionItem, lease: null, parts: null, ended_by: 'write' };

const byProviderSession = format.indexKey('sid', issuer, clientId, 'sid-1');
const bySubject = format.indexKey('sub', issuer, clientId, 'ada');
const indexItem = {
  id: bySubject,
  v: 2,
  sessions: [{ key: sessionKey, expires_at: end, has_sid: true }],
  closed_at: now - 60,
  closed_without_sid_at: null,
  expires_at: end,
  ttl: end - now,
};
const usedOnceKey = format.usedOnceKey(issuer, clientId, 'jti-1');
const usedOnceItem = { id: usedOnceKey, v: 1, by: 'write', expires_at: now + 120, ttl: 120 };

const keptForm = {
  target: '/form?a=1',
  content_type: 'application/x-www-form-urlencoded',
  session: sessionKey,
  person: bySubject,
  kept_at: now,
};

const vectors = [
  ['cookie envelope', 'crypto/envelope.rs', plainCookie],
  ['form envelope', 'crypto/envelope.rs', plainForm],
  ['claims envelope', 'crypto/envelope.rs', plainClaims],
  ['sealed request part', 'crypto/record_part.rs', format.base64url(plainRequest)],
  ['sealed refresh part', 'crypto/record_part.rs', format.base64url(plainRefresh)],
  ['sealed route part', 'crypto/record_part.rs', format.base64url(plainRoute)],
  ['identifier and S', 'crypto/session_seed.rs', format.base64url(session.derived)],
  ['ticket', 'sessions/ticket.rs', format.base64url(ticket)],
  ['store key', 'sessions/ticket.rs', sessionKey],
  ['sign-out token', 'sessions/ticket.rs', format.signOutToken(session.id)],
  ['request part', 'sessions/parts.rs', requestLayout],
  ['request part of earlier versions', 'sessions/parts.rs', requestPart],
  ['refresh part', 'sessions/parts.rs', refreshPart],
  ['route part', 'sessions/parts.rs', routePart],
  ['key of a target', 'sessions/route_token.rs', format.base64url(target)],
  ['route part of a session', 'sessions/records.rs', format.base64url(routeSealed)],
  ['request part of a session', 'sessions/records.rs', format.base64url(requestSealed)],
  ['refresh part of a session', 'sessions/records.rs', format.base64url(refreshSealed)],
  ['lease of a refresh', 'sessions/record.rs', json(lease('Refreshing'))],
  ['lease of a backoff', 'sessions/record.rs', json(lease('Resting'))],
  ['lease of a refusal', 'sessions/record.rs', json(lease('Refused'))],
  ['index key by sid', 'sessions/index.rs', byProviderSession],
  ['index key by sub', 'sessions/index.rs', bySubject],
  ['used-once key', 'sessions/used_once.rs', usedOnceKey],
  ['session item', 'azure/cosmos_item/tests.rs', json(sessionItem)],
  ['route tokens of a session item', 'azure/cosmos_item/tests.rs', json(routeItems)],
  ['tombstone', 'azure/cosmos_item/tests.rs', json(tombstone)],
  ['index item', 'azure/cosmos_item/tests.rs', json(indexItem)],
  ['used-once item', 'azure/cosmos_item/tests.rs', json(usedOnceItem)],
  ['session cookie', 'web/cookies.rs', cookie('__Host-app-session', ticket)],
  ['person cookie', 'web/person_cookie.rs', cookie('__Host-app-person', bySubject.slice(0, 22))],
  ['pending login', 'oidc/pending_login.rs', format.base64url(login)],
  ['head of a kept form', 'web/kept_form.rs', json(keptForm)],
  ['remembered login', 'web/login_cookies.rs', format.base64url(rememberedLogin)],
  ['name of a login cookie', 'web/login_cookies.rs', loginCookieName],
  ['login cookie', 'web/login_cookies.rs', loginCookie],
];

// A literal may be laid out over lines: JSON with white space, text with `\` at a line's end.
const compact = (source) => source.replace(/\\\n/g, '').replace(/\s+/g, '');

let differences = 0;
for (const [name, file, expected] of vectors) {
  const source = readFileSync(new URL(`../../handler/src/${file}`, import.meta.url), 'utf8');
  const isThere = compact(source).includes(`"${expected}"`);
  if (!isThere) differences += 1;
  console.log(isThere ? `same: ${name}` : `DIFFERENT: ${name}, in ${file} and not\n  ${expected}`);
}
process.exitCode = differences === 0 ? 0 : 1;
