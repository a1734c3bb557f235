// Recomputes the frozen vectors of handler/src/crypto with Node's cryptography, from the description in the design and
// not from the Rust code, and exits with 1 if the sources hold another value. Run: node tests/vectors/recompute.mjs

import { createCipheriv, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';

const bytes = (length, value) => Buffer.alloc(length, value);

// Each field behind its length, four bytes, big endian.
const lengthPrefixed = (...fields) =>
  Buffer.concat(
    fields.map(Buffer.from).flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(field.length);
      return [length, field];
    }),
  );

const uint64 = (number) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(number);
  return buffer;
};

// HKDF-SHA256 gives 44 bytes: 32 of key, 12 of IV. The tag follows the ciphertext.
const seal = ({ ikm, salt, info, aad, plaintext }) => {
  const derived = Buffer.from(hkdfSync('sha256', ikm, salt, info, 44));
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32));
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
};

const cookie = () => {
  const salt = bytes(16, 9);
  const sealed = seal({
    ikm: bytes(32, 1),
    salt,
    info: Buffer.from('cookie/v1'),
    aad: lengthPrefixed('1', 'new', '__Host-session', 'https://app.example'),
    plaintext: 'frozen',
  });
  return `1.new.${Buffer.concat([salt, sealed]).toString('base64url')}`;
};

// Eight bytes, big endian; none for an absent hint.
const hint = (seconds) => (seconds === undefined ? Buffer.alloc(0) : uint64(seconds));

const part = ({ name, generation, accessTokenExpiresAt, refreshAt, saltByte }) => {
  const sid = bytes(16, 4);
  return seal({
    ikm: Buffer.concat([bytes(32, 6), bytes(32, 5)]), // the token key, then S
    salt: bytes(32, saltByte),
    info: lengthPrefixed('record/v1', sid, 'k1'),
    aad: lengthPrefixed(
      '2',
      name,
      sid,
      'k1',
      uint64(generation),
      hint(accessTokenExpiresAt),
      hint(refreshAt),
      'https://op.example',
      'client',
    ),
    plaintext: 'frozen',
  }).toString('base64url');
};

const vectors = [
  ['cookie', 'envelope.rs', cookie()],
  [
    'request part',
    'record_part.rs',
    part({
      name: 'request',
      generation: 1n,
      accessTokenExpiresAt: 1800003600n,
      refreshAt: 1800002880n,
      saltByte: 7,
    }),
  ],
  ['refresh part', 'record_part.rs', part({ name: 'refresh', generation: 258n, saltByte: 8 })],
];

let differences = 0;
for (const [name, file, expected] of vectors) {
  const source = readFileSync(new URL(`../../handler/src/crypto/${file}`, import.meta.url), 'utf8');
  const isThere = source.includes(`"${expected}"`);
  if (!isThere) differences += 1;
  console.log(`${isThere ? 'same' : 'DIFFERENT'}: ${name}, ${expected}`);
}
process.exitCode = differences === 0 ? 0 : 1;
