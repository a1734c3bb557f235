// A browser that signs in: follows redirects between the handler and the provider, with a cookie jar for each.

import { Agent, get } from 'node:http'

import { Process } from './measure.mjs'

/** Starts the provider for the handler at `origin`; resolves when it answers. */
export async function startProvider(port, origin) {
    const provider = new Process(process.execPath, ['tests/bench/provider.mjs', port, origin], {}, { stderr: 'ignore' })
    await provider.responds(`http://127.0.0.1:${port}/.well-known/openid-configuration`)
    return provider
}

/** Kept connections: a sign-in takes five requests, and connections are not what is measured. */
const agent = new Agent({ keepAlive: true })

/** Signs a new person in at the handler, and returns the `Cookie` header of the session. */
export async function signIn(origin) {
    const jars = new Map() // ports are no part of a cookie's scope, but a jar each keeps headers as short as between hosts
    let url = new URL(`${origin}/oauth/signin`)
    for (let hop = 0; hop < 8; hop += 1) {
        const jar = jars.get(url.origin) ?? new Map()
        jars.set(url.origin, jar)
        const headers = await headersOf(url, [...jar].map((pair) => pair.join('=')).join('; '))
        for (const set of headers['set-cookie'] ?? []) {
            const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)
            jar.set(name, value)
        }
        const session = url.origin === origin && [...jar].find(([name, value]) => name.endsWith('-session') && value)
        if (session) return session.join('=')
        url = new URL(headers.location, url)
    }
    throw new Error('the sign-in led to no session')
}

/** The response to a navigation; `fetch` would not call itself one. */
function headersOf(url, cookie) {
    return new Promise((resolve, reject) => {
        const headers = cookie ? { cookie, accept: 'text/html' } : { accept: 'text/html' }
        const request = get(url, { agent, headers }, (answer) => resolve(answer.resume().headers))
        request.once('error', reject)
    })
}
