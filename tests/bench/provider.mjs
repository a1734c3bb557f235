// The certified oidc-provider as a process of its own: signs in whoever asks, without a form.
//
//   node tests/bench/provider.mjs PORT ORIGIN   the handler at ORIGIN is its only client
//
// Access tokens are JWTs (RFC 9068) with the claims and the length (1.3 KB) of a large provider's.

import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

import { CLIENT_ID, CLIENT_SECRET } from './lib/client.mjs'

const require = createRequire(new URL('../e2e/package.json', import.meta.url))
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href)

const [port, origin] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`
const HOUR_SECONDS = 3_600
const RESOURCE = 'https://app.example/api'

// The claims that lengthen a token: what Entra ID puts into one for a person in 5 groups.
const MORE_CLAIMS = {
    azp: randomUUID(), tid: randomUUID(), oid: randomUUID(), ver: '2.0', name: 'Ada Lovelace',
    preferred_username: 'ada.lovelace@example.com', groups: Array.from({ length: 5 }, () => randomUUID()),
}

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const provider = new Provider(issuer, {
    clients: [{
        client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: [`${origin}/oauth/callback`],
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
    }],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: 'bench' }] },
    cookies: { keys: ['a key that signs the cookies of a benchmark'] },
    claims: { openid: ['sub'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: false,
    issueRefreshToken: () => true,
    extraTokenClaims: () => MORE_CLAIMS,
    features: {
        devInteractions: { enabled: false },
        resourceIndicators: {
            enabled: true,
            defaultResource: () => RESOURCE,
            useGrantedResource: () => true,
            getResourceServerInfo: () => ({ scope: 'openid profile', accessTokenFormat: 'jwt', accessTokenTTL: HOUR_SECONDS, jwt: { sign: { alg: 'RS256' } } }),
        },
    },
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: HOUR_SECONDS, Grant: HOUR_SECONDS, IdToken: HOUR_SECONDS, Interaction: HOUR_SECONDS, RefreshToken: HOUR_SECONDS, Session: HOUR_SECONDS },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: () => ({ sub, name: MORE_CLAIMS.name, preferred_username: MORE_CLAIMS.preferred_username }) }),
    loadExistingGrant: grantEverything,
})
const callback = provider.callback()
const server = createServer(async (req, res) => {
    if (!req.url.startsWith('/interaction/')) return callback(req, res)
    await provider.interactionDetails(req, res)
    return provider.interactionFinished(req, res, { login: { accountId: randomUUID() } })
})
server.keepAliveTimeout = HOUR_SECONDS * 1_000
server.listen(Number(port), '127.0.0.1')

async function grantEverything(ctx) {
    const { client, session, params } = ctx.oidc
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId })
    grant.addOIDCScope(params.scope)
    grant.addResourceScope(RESOURCE, params.scope)
    await grant.save()
    return grant
}
