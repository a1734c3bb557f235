// A provider that signs anyone in without asking, and a browser that lets it.

import { generateKeyPairSync, sign } from 'node:crypto'
import { createServer, get } from 'node:http'

const ACCESS_TOKEN = 'A'.repeat(900) // as long as a usual JWT

/** Starts the provider; it answers until it is stopped. */
export async function startProvider(port) {
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
            const claims = { iss: issuer, aud: 'bench', sub: 'ada', name: 'Ada', iat: now, exp: now + 3600, nonce: nonces.get(form.get('code')) }
            return { access_token: ACCESS_TOKEN, token_type: 'Bearer', expires_in: 3600, refresh_token: 'r', id_token: jwt(claims, privateKey) }
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

/** Signs in at the handler, and returns the `Cookie` header of the session. */
export async function signIn(origin) {
    const jar = new Map()
    let url = `${origin}/oauth/signin`
    for (let hop = 0; hop < 4; hop += 1) {
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
        const headers = await headersOf(url, cookie)
        for (const set of headers['set-cookie'] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)
            jar.set(name, value)
        }
        const session = [...jar].find(([name, value]) => name.endsWith('-session') && value)
        if (session) return session.join('=')
        url = new URL(headers.location, url).href
    }
    throw new Error('the sign-in led to no session')
}

/** What a navigation is answered with; `fetch` would say of itself that it is none. */
function headersOf(url, cookie) {
    return new Promise((resolve, reject) => {
        const request = get(url, { headers: { cookie, accept: 'text/html' } }, (answer) => resolve(answer.resume().headers))
        request.once('error', reject)
    })
}
