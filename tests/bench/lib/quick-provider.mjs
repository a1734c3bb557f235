// A provider that costs next to nothing: where sign-ins and refreshes are counted, it must not be what is measured.

import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer } from 'node:http'

import { CLIENT_ID } from './client.mjs'

const ACCESS_TOKEN = 'A'.repeat(1_300) // as long as a usual JWT

/** Starts it; it answers until it is stopped. */
export async function startQuickProvider(port) {
    const issuer = `http://127.0.0.1:${port}`
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' }]
    const nonces = new Map()
    const answers = {
        '/.well-known/openid-configuration': () => ({
            issuer, authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token`, jwks_uri: `${issuer}/jwks`,
        }),
        '/jwks': () => ({ keys }),
        '/token': (form) => {
            const now = Math.floor(Date.now() / 1000)
            const person = form.get('code') ?? form.get('refresh_token')
            const claims = { iss: issuer, aud: CLIENT_ID, sub: `person-${person}`, name: 'Ada', iat: now, exp: now + 3600, nonce: nonces.get(form.get('code')) }
            return { access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 3600, refresh_token: person, id_token: jwt(claims, privateKey) }
        },
    }
    const server = createServer(async (request, response) => {
        const url = new URL(request.url, issuer)
        if (url.pathname === '/authorize') {
            const code = String(nonces.size)
            nonces.set(code, url.searchParams.get('nonce'))
            const back = new URL(url.searchParams.get('redirect_uri'))
            back.search = new URLSearchParams({ code, state: url.searchParams.get('state') })
            return response.writeHead(302, { location: back.href }).end()
        }
        let body = ''
        for await (const piece of request) body += piece
        response.setHeader('content-type', 'application/json')
        return response.end(JSON.stringify(answers[url.pathname](new URLSearchParams(body))))
    })
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
    return { stop: () => server.close() || server.closeAllConnections() }
}

function jwt(claims, key) {
    const part = (json) => Buffer.from(JSON.stringify(json)).toString('base64url')
    const text = `${part({ alg: 'ES256', kid: 'k' })}.${part(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
