// A working day of the handler, for a build that is laid out by how often its branches are taken (scripts/guided.sh).
//
//   node tests/bench/train.mjs --handler FILE [--seconds N]
//
// Not the loads of scripts/bench, or that would measure what it was built for: browsers' headers, an application of many
// responses, mistakes and refusals, as text and as JSON, with sessions in memory and in the emulator of Cosmos DB.

import { Agent, createServer, request } from 'node:http'
import { parseArgs } from 'node:util'

import { startCosmos } from '../e2e/lib/cosmos.mjs'
import { CLIENT_ID, CLIENT_SECRET } from './lib/client.mjs'
import { freePorts, Process } from './lib/measure.mjs'
import { signIn, startProvider } from './lib/sign-in.mjs'
import { exchangeMessages, startEcho } from './lib/sockets.mjs'

const { values: options } = parseArgs({
    options: { handler: { type: 'string' }, seconds: { type: 'string', default: '10' } },
})
const PEOPLE = 24
const CONNECTIONS = 48
const INVOCATION_ID = 'x-azure-functions-invocationid'

const BROWSER = {
    accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    'accept-encoding': 'gzip, deflate, br, zstd', 'accept-language': 'en-GB,en;q=0.9,de;q=0.8', 'cache-control': 'max-age=0',
    'sec-ch-ua': '"Chromium";v="142", "Not.A/Brand";v="24"', 'sec-ch-ua-mobile': '?0', 'sec-ch-ua-platform': '"Linux"',
    'sec-fetch-dest': 'document', 'sec-fetch-mode': 'navigate', 'sec-fetch-site': 'same-origin', 'sec-fetch-user': '?1',
    'upgrade-insecure-requests': '1', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36',
}
const SCRIPT = { ...BROWSER, accept: 'application/json', 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' }

/** The application's responses by path, with the headers that frameworks send. */
const RESPONSES = {
    '/page': [200, { 'content-type': 'text/html; charset=utf-8', etag: '"7"', vary: 'Cookie' }, 'a'.repeat(3_000)],
    '/unchanged': [304, { etag: '"7"' }, ''],
    '/data': [200, { 'content-type': 'application/json' }, JSON.stringify({ rows: Array(40).fill('a row') })],
    '/large': [200, { 'content-type': 'application/octet-stream' }, 'a'.repeat(150_000)],
    '/moved': [302, { location: '/page', 'set-cookie': ['app=1; Path=/; HttpOnly', 'seen=2; Path=/'] }, ''],
    '/missing': [404, { 'content-type': 'text/html' }, 'nothing here'],
    '/form': [200, { 'content-type': 'text/html' }, 'taken'],
    '/admin/page': [200, { 'content-type': 'text/html' }, 'of the administrators'],
    '/open/style.css': [200, { 'content-type': 'text/css', 'cache-control': 'public, max-age=3600', etag: '"s"' }, 'b'.repeat(5_000)],
}

/** One turn of the day, most of it pages, data and style sheets of people who are signed in. */
const TURN = [
    ...Array(6).fill({ path: '/page', status: 200 }),
    ...Array(4).fill({ path: '/data?page=2&sort=name', status: 200, headers: SCRIPT }),
    ...Array(3).fill({ path: '/open/style.css', status: 200 }),
    ...Array(2).fill({ path: '/unchanged', status: 304, headers: { ...BROWSER, 'if-none-match': '"7"' } }),
    { path: '/large', status: 200 },
    { path: '/moved', status: 302 },
    { path: '/missing', status: 404 },
    { path: '/form', status: 200, method: 'POST', body: 'field=value&'.repeat(60), type: 'application/x-www-form-urlencoded' },
    { path: '/data', status: 200, method: 'PUT', body: '[1]'.repeat(9_000), type: 'application/json', headers: SCRIPT },
    { path: '/admin/page', status: 200 },
    { path: '/oauth/me', status: 200, headers: SCRIPT },
    { path: '/page', status: 302, isStranger: true },
    { path: '/data', status: 401, isStranger: true, headers: SCRIPT },
    { path: '/form', status: 403, method: 'POST', body: 'a=b', type: 'text/plain', headers: { ...BROWSER, 'sec-fetch-site': 'cross-site' } },
]

const started = []
let trained = 0
try {
    const application = await startApplication()
    const echo = await startEcho()
    const cosmos = await startCosmos()
    started.push({ stop: () => application.close() || application.closeAllConnections() }, echo, cosmos)
    const upstream = `http://127.0.0.1:${application.address().port}`
    const day = { upstream, echo: `http://127.0.0.1:${echo.port}`, seconds: Number(options.seconds) }
    await train({ ...day, listen: (port) => ({ LISTEN_ADDR: `127.0.0.1:${port}` }) })
    const invocation = { [INVOCATION_ID]: '3f1cf7d0-76a7-4d3c-9a0e-0d2f8e4a5b6c' }
    await train({ ...day, listen: (port) => ({ FUNCTIONS_CUSTOMHANDLER_PORT: `${port}` }), more: invocation })
    const stored = (port) => ({ LISTEN_ADDR: `127.0.0.1:${port}`, ...cosmos.settings, SESSION_STORE: 'cosmos', SESSION_CACHE_TTL: '0s' })
    await train({ ...day, seconds: day.seconds / 2, listen: stored })
    console.log(`trained by ${trained} requests`)
} finally {
    for (const process of started.reverse()) process.stop()
}

function startApplication() {
    const server = createServer((req, res) => {
        const { pathname } = new URL(req.url, 'http://application')
        const [status, headers, body] = RESPONSES[pathname] ?? [404, {}, `no response for ${pathname}`]
        req.resume().once('end', () => res.writeHead(status, headers).end(body))
    })
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

/** Starts a handler, spends a day with it, and lets it end by itself: it writes its counts then. */
async function train({ upstream, echo, seconds, listen, more = {} }) {
    const [port, providerPort] = await freePorts(2)
    const origin = `http://127.0.0.1:${port}`
    const provider = await startProvider(providerPort, origin)
    started.push(provider)
    const routes = [
        { path: '/', upstream }, { path: '/open', upstream, access: 'anonymous' }, { path: '/ws', upstream: echo },
        { path: '/admin', upstream, require: { claim: 'sub', present: true }, headers: [{ name: 'X-Subject', claim: 'sub' }] },
    ]
    const handler = new Process(options.handler, [], {
        PUBLIC_BASE_URL: origin, ROUTES: JSON.stringify(routes), OIDC_ISSUER_URL: `http://127.0.0.1:${providerPort}`,
        CLIENT_ID, CLIENT_SECRET, ...listen(port),
    })
    started.push(handler)
    await handler.responds(`${origin}/oauth/health/live`)
    const cookies = await Promise.all(Array.from({ length: PEOPLE }, () => signIn(origin)))
    await spend(seconds, origin, cookies, more)
    if (!more[INVOCATION_ID]) { // the host relays no WebSockets
        await exchangeMessages({ process: handler, origin, cookie: cookies[0], url: (path) => `${origin}/${path}` }, seconds / 5)
    }
    await refreshAndSignOut(origin, cookies, more)
    handler.stop()
    await handler.ended
}

async function spend(seconds, origin, cookies, more) {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
    const until = performance.now() + seconds * 1_000
    let next = 0
    const worker = async () => {
        while (performance.now() < until) {
            const at = next++
            await send(agent, origin, cookies[at % cookies.length], TURN[at % TURN.length], more)
        }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, worker)).finally(() => agent.destroy())
}

async function refreshAndSignOut(origin, cookies, more) {
    const agent = new Agent({ keepAlive: true })
    for (const cookie of cookies) {
        const post = { method: 'POST', body: '', headers: { ...SCRIPT, 'x-csrf': '1' } }
        await send(agent, origin, cookie, { ...post, path: '/oauth/refresh', status: 200 }, more)
        await send(agent, origin, cookie, { ...post, path: '/oauth/signout', status: 200 }, more)
    }
    agent.destroy()
}

/** Sends a request and checks its status: what trains must be what it says it is. */
function send(agent, origin, cookie, { path, status, method = 'GET', body, type, headers = BROWSER, isStranger = false }, more) {
    const sent = {
        ...headers, ...more, ...(isStranger ? {} : { cookie: `theme=dark; ${cookie}; app=1` }),
        ...(type ? { 'content-type': type } : {}), ...(body === undefined ? {} : { origin, 'content-length': Buffer.byteLength(body) }),
    }
    return new Promise((resolve, reject) => {
        const asked = request(`${origin}${path}`, { agent, method, headers: sent }, (response) => {
            if (response.statusCode !== status) reject(new Error(`${method} ${path} got ${response.statusCode}, not ${status}`))
            trained += 1
            response.resume().once('end', resolve).once('error', reject)
        })
        asked.once('error', reject).end(body)
    })
}
