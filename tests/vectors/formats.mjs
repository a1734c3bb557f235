// The formats of docs/security.md, written from that page with Node's cryptography and not from the Rust code.

import { createCipheriv, createHash, hkdfSync } from 'node:crypto';

export const base64url = (buffer) => Buffer.from(buffer).toString('base64url');

const bigEndian = (value, bytes) => Buffer.from(BigInt(value).toString(16).padStart(bytes * 2, '0'), 'hex');
const seconds = (time) => bigEndian(time, 8);

// Each field behind its length.
const behindLengths = (bytes, fields) =>
  Buffer.concat(fields.map((field) => Buffer.from(field)).flatMap((field) => [bigEndian(field.length, bytes), field]));
const list = (...fields) => behindLengths(4, fields);
const longList = (...fields) => behindLengths(8, fields);

const sha256 = (...parts) => {
  const hash = createHash('sha256');
  parts.forEach((part) => hash.update(part));
  return hash.digest();
};

const hkdf = (ikm, salt, info, length) => Buffer.from(hkdfSync('sha256', ikm, salt, info, length));

// HKDF gives 32 bytes of key and 12 of IV; the tag is behind the ciphertext.
const seal = (plaintext, { ikm, salt, info, aad }) => {
  const derived = hkdf(ikm, salt, info, 44);
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32));
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

export const session = (seed, code) => {
  const derived = hkdf(seed, Buffer.alloc(0), list('session/v1', code), 48);
  return { derived, id: derived.subarray(0, 16), secret: derived.subarray(16) };
};

export const sessionKey = (id) => base64url(sha256('sid', id));

export const signOutToken = (id) => base64url(sha256('signout', id).subarray(0, 16));

export const ticket = ({ id, secret }, { issuedAt, lastSeen, expiresAt }) =>
  Buffer.concat([Buffer.of(1), id, secret, seconds(issuedAt), seconds(lastSeen), seconds(expiresAt)]);

const envelope = (plaintext, info, { name, origin, kid, key, salt }) => {
  const aad = list('1', kid, name, origin);
  const sealed = seal(plaintext, { ikm: key, salt, info: Buffer.from(info), aad });
  return `1.${kid}.${base64url(Buffer.concat([salt, sealed]))}`;
};

// `state` and `codeVerifier` are the bytes that their 64 hexadecimal digits stand for.
export const pendingLogin = ({ state, nonce, codeVerifier, seed, issuedAt, maxAge, returnUrl }) =>
  Buffer.concat([state, nonce, codeVerifier, seed, seconds(issuedAt), bigEndian(maxAge, 8), Buffer.from(returnUrl)]);

export const rememberedLogin = ({ sequence, ticket, pending }) =>
  Buffer.concat([Buffer.of(2), bigEndian(sequence, 8), Buffer.of(ticket.length), ticket, pending]);
export const cookie = (plaintext, context) => envelope(plaintext, 'cookie/v1', context);

export const keptForm = (plaintext, context) => envelope(plaintext, 'form/v1', { name: 'form', ...context });

export const claims = (plaintext, context) => envelope(plaintext, 'claims/v1', { name: 'claims', ...context });

export const loginCookieName = (prefix, state) => `${prefix}-login-${sha256(state).subarray(0, 4).toString('hex')}`;

// A route part has its target's key behind the fields of every part.
export const part = (name, plaintext, { id, secret }, context) => {
  const { kid, key, salt, generation, accessTokenExpiresAt, refreshAt, issuer, clientId, target } = context;
  const hint = (time) => (time === null ? '' : seconds(time));
  const hints = [hint(accessTokenExpiresAt), hint(refreshAt)];
  return seal(plaintext, {
    ikm: Buffer.concat([key, secret]),
    salt,
    info: list('record/v1', id, kid),
    aad: list('2', name, id, kid, bigEndian(generation, 8), ...hints, issuer, clientId, ...(target ? [target] : [])),
  });
};

export const targetKey = (parameter, value, scope) =>
  sha256('target/v1', longList(parameter, value, scope)).subarray(0, 16);

export const indexKey = (kind, issuer, clientId, value) =>
  base64url(sha256('index/v2', longList(kind, issuer, clientId, value)));

export const usedOnceKey = (issuer, clientId, jti) =>
  base64url(sha256('used/v1', longList('jti', issuer, clientId, jti)));
