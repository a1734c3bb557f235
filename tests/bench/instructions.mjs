// Counts the instructions of a signed-in request by itself, for the work on a change: minutes less than the benchmark.
//
//   cargo build --profile profiling -p oauth-proxy
//   node tests/bench/instructions.mjs [--handler FILE] [--log LEVEL] [--host] [--profile FILE]
//
// `--host` counts the handler as the Functions host calls it: an invocation id, and JSON lines.

import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { countInstructions, startCounted } from './lib/callgrind.mjs'
import { CLIENT_ID, CLIENT_SECRET } from './lib/client.mjs'
import { freePorts } from './lib/measure.mjs'
import { signIn, startProvider } from './lib/sign-in.mjs'

const { values: options } = parseArgs({
    options: {
        handler: { type: 'string', default: 'target/profiling/oauth-proxy' },
        log: { type: 'string', default: 'info' },
        host: { type: 'boolean', default: false },
        profile: { type: 'string' },
    },
})
const folder = mkdtempSync(join(tmpdir(), 'instructions-'))
const [handlerPort, providerPort, upstreamPort] = await freePorts(3)
const origin = `http://127.0.0.1:${handlerPort}`
const body = 'a'.repeat(1024)
const upstream = createServer((_req, res) => res.writeHead(200, { 'content-type': 'text/plain', 'content-length': 1024, etag: '"1"' }).end(body))
upstream.listen(upstreamPort, '127.0.0.1')
const provider = await startProvider(providerPort, origin)
const place = options.host ? { FUNCTIONS_CUSTOMHANDLER_PORT: `${handlerPort}` } : { LISTEN_ADDR: `127.0.0.1:${handlerPort}` }
const invocation = options.host ? { 'x-azure-functions-invocationid': '3f1cf7d0-76a7-4d3c-9a0e-0d2f8e4a5b6c' } : {}
const handler = startCounted(options.handler, {
    PUBLIC_BASE_URL: origin, ...place, UPSTREAM_URL: `http://127.0.0.1:${upstreamPort}`,
    OIDC_ISSUER_URL: `http://127.0.0.1:${providerPort}`, CLIENT_ID, CLIENT_SECRET, LOG: options.log,
    SESSION_CACHE_TTL: '60s', SESSION_IDLE_TIMEOUT: '1h',
}, folder)
try {
    await handler.responds(`${origin}/oauth/health/live`)
    const cookie = await signIn(origin)
    const counted = await countInstructions(handler, folder, `${origin}/1k`, { cookie, ...invocation })
    console.log(`LOG=${options.log}: ${counted.withoutSha256.toFixed(0)} instructions a request, ${counted.all.toFixed(0)} with SHA-256`)
    if (options.profile) copyFileSync(counted.profile, options.profile)
} finally {
    handler.stop()
    provider.stop()
    upstream.close()
    upstream.closeAllConnections()
    await handler.ended
    rmSync(folder, { recursive: true, force: true })
}
