// A key of ours for `private_key_jwt`: what the handler gets, and what a provider may know of it.

import { generateKeyPairSync } from 'node:crypto';

/** A new P-256 key: its public part as a JWK, and the settings that give the handler the private one. */
export function clientKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).trim().replaceAll('\n', '\\n');
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'ours', use: 'sig', alg: 'ES256' },
    settings: { CLIENT_AUTH_METHOD: 'private_key_jwt', CLIENT_PRIVATE_KEY: pem, CLIENT_KEY_ID: 'ours' },
  };
}
