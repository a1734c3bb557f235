// The benchmark: the handler against nginx as a plain proxy, in one interleaved run on one machine.
//
// Everything is a ratio to nginx of the same run, because machines and their moods differ; instructions a request are
// counted besides. Starts nginx twice (an upstream and a proxy), the certified oidc-provider and the handler; signs in.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { startCosmos } from '../e2e/lib/cosmos.mjs'
import { missedBars } from './lib/bars.mjs'
import { countInstructions, startCounted } from './lib/callgrind.mjs'
import { CLIENT_ID, CLIENT_SECRET } from './lib/client.mjs'
import { startHost } from './lib/host.mjs'
import { load } from './lib/load.mjs'
import { connectionsOpened, freePorts, median, Process } from './lib/measure.mjs'
import { nginxProxy, nginxUpstream } from './lib/nginx.mjs'
import { refreshMany, signInMany } from './lib/people.mjs'
import { startQuickProvider } from './lib/quick-provider.mjs'
import { plot, print } from './lib/report.mjs'
import { signIn, startProvider } from './lib/sign-in.mjs'
import { exchangeMessages, startEcho } from './lib/sockets.mjs'

const { values: options } = parseArgs({
    options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '5' },
        sessions: { type: 'string', default: '20000' },
        handler: { type: 'string', default: 'target/profiling/oauth-proxy' },
        rules: { type: 'string', default: 'target/profiling/rule-cost' },
        log: { type: 'string', default: 'info' },
        only: { type: 'string' },
        plot: { type: 'string' },
        check: { type: 'boolean', default: false },
    },
})
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)]
const KILOBYTE = { body: '1 KB', path: '1k' }
const LOADS = [
    { name: '1 KB, 1 connection', ...KILOBYTE, connections: 1 },
    { name: '1 KB, 64 connections', ...KILOBYTE, connections: 64 },
    { name: '1 KB, 512 connections', ...KILOBYTE, connections: 512 },
    { name: '100 KB, 64 connections', body: '100 KB', path: '100k', connections: 64 },
]
const IDLE_SECONDS = 100 // until idle connections are closed, and the memory they held is returned

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const started = []
const wants = (part) => !options.only || options.only.split(',').includes(part)

try {
    await main()
} finally {
    for (const process of started.reverse()) process.stop()
    rmSync(folder, { recursive: true, force: true })
}

async function main() {
    const report = { cores: cpus().length, rounds, seconds, log: options.log, rows: [] }
    const place = await startPlace()
    report.startMs = wants('start') ? await measureStart(place) : undefined
    const handler = await startHandler(place)
    const cookie = await signIn(handler.origin)
    const targets = [place.nginx, target('handler, signed in', handler, { cookie })]
    const anonymous = target('handler, anonymous route', handler, { prefix: 'open/' })
    const carrying = target('nginx, with a token', place.nginx, { prefix: 'token/' })

    if (wants('loads')) {
        for (const kind of LOADS) {
            const compared = kind.connections === 64 ? [...targets, anonymous, carrying] : targets
            report.rows.push(...(await compare(kind, compared)))
            report[`pss ${kind.name}`] = handler.process.pssMb()
        }
    }
    if (wants('idle')) {
        // Before there are other handlers, whose share of the binary's pages this one's figure would lack.
        await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000))
        report.pssIdle = handler.process.pssMb()
    }
    if (wants('sockets')) report.rows.push(...(await compareSockets(place, handler, cookie)))
    if (wants('people')) await measurePeople(place, report)
    if (wants('store')) await measureStore(place, report)
    if (wants('host')) await measureHost(place, report)
    if (wants('instructions')) report.instructions = await measureInstructions(place)
    if (wants('rules')) report.ruleNs = Number(execFileSync(options.rules, { encoding: 'utf8' }))
    print(report)
    if (options.plot) writeFileSync(options.plot, plot(report.rows))
    const missed = missedBars(report)
    for (const miss of missed) console.log(`below the bar: ${miss}`)
    if (options.check && missed.length > 0) process.exitCode = 1
}

/** Upstream, nginx and the WebSocket echo around the handler. */
async function startPlace() {
    const [upstreamPort, proxyPort] = await freePorts(2)
    for (const below of ['', 'open']) {
        mkdirSync(join(folder, 'www', below), { recursive: true })
        writeFileSync(join(folder, 'www', below, '1k'), 'a'.repeat(1024))
        writeFileSync(join(folder, 'www', below, '100k'), 'a'.repeat(100 * 1024))
    }
    const echo = await startEcho()
    started.push(echo, nginxUpstream(folder, upstreamPort))
    const proxy = nginxProxy(folder, proxyPort, upstreamPort, echo.port)
    started.push(proxy)
    const nginx = target('nginx', { process: proxy, origin: `http://127.0.0.1:${proxyPort}` })
    return { upstream: `http://127.0.0.1:${upstreamPort}`, echo: `http://127.0.0.1:${echo.port}`, nginx }
}

function target(name, { process, origin }, { cookie, prefix = '' } = {}) {
    return { name, process, cookie, origin, url: (path) => `${origin}/${prefix}${path}` }
}

/** The settings of a handler at `origin`. */
function settingsFor({ upstream, echo }, origin, issuer, more) {
    const routes = [
        { path: '/', upstream },
        { path: '/open', upstream, access: 'anonymous' },
        { path: '/ws', upstream: echo },
    ]
    return {
        PUBLIC_BASE_URL: origin, ROUTES: JSON.stringify(routes), OIDC_ISSUER_URL: issuer, CLIENT_ID, CLIENT_SECRET,
        LOG: options.log, ...more,
    }
}

/** A handler that listens by itself, with a provider of its own: the certified one, or a quick one. */
async function startHandler(place, { more = {}, quick = false, start = (settings) => new Process(options.handler, [], settings) } = {}) {
    const [port, providerPort] = await freePorts(2)
    const [origin, issuer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${providerPort}`]
    started.push(await (quick ? startQuickProvider(providerPort) : startProvider(providerPort, origin)))
    const settings = settingsFor(place, origin, issuer, { LISTEN_ADDR: `127.0.0.1:${port}`, ...more })
    const process = start(settings)
    started.push(process)
    await process.responds(`${origin}/oauth/health/live`)
    return { process, origin, settings }
}

/** Milliseconds from the start of the process to its first response, the median of several starts. */
async function measureStart(place) {
    const times = []
    for (let run = 0; run < 9; run += 1) {
        const [port] = await freePorts(1)
        const origin = `http://127.0.0.1:${port}`
        const settings = settingsFor(place, origin, 'http://127.0.0.1:9', { LISTEN_ADDR: `127.0.0.1:${port}` })
        const begun = performance.now()
        const handler = new Process(options.handler, [], settings)
        await handler.responds(`${origin}/oauth/health/live`)
        times.push(performance.now() - begun)
        handler.stop()
        await handler.ended
    }
    return median(times)
}

/** Every target after every other, again and again: whatever else the machine does meets all of them. */
async function compare(kind, targets, cookies = {}) {
    const runs = targets.map(() => [])
    for (let round = 0; round <= rounds; round += 1) {
        for (const [at, target] of targets.entries()) {
            const opened = connectionsOpened()
            const run = await load(target, { ...kind, seconds, cookies: cookies[target.name] })
            run.opened = (100 * (connectionsOpened() - opened - kind.connections)) / (run.requests * seconds)
            if (round > 0) runs[at].push(run) // the first round only warms up
        }
    }
    return summaries(kind.name, targets, runs)
}

/** Medians, and the medians of the ratios to the first target, nginx, in the same round; with their spread. */
function summaries(name, targets, runs) {
    return targets.map((target, at) => {
        const figure = (key) => median(runs[at].map((run) => run[key]))
        const ratios = (key) => runs[at].map((run, round) => run[key] / runs[0][round][key])
        const range = (key) => [Math.min(...ratios(key)), Math.max(...ratios(key))]
        return {
            load: name, target: target.name, requests: figure('requests'), p50: figure('p50'), p99: figure('p99'),
            cpu: figure('cpu'), opened: figure('opened'), requestsRatio: median(ratios('requests')), cpuRatio: median(ratios('cpu')),
            p99Ratio: median(ratios('p99')), requestsRange: range('requests'), cpuRange: range('cpu'),
        }
    })
}

/** Round trips of WebSocket messages, in the columns of requests. */
async function compareSockets(place, handler, cookie) {
    const targets = [place.nginx, target('handler, signed in', handler, { cookie })]
    const runs = targets.map(() => [])
    for (let round = 0; round <= rounds; round += 1) {
        for (const [at, target] of targets.entries()) {
            const { perSecond, cpu } = await exchangeMessages(target, seconds)
            if (round > 0) runs[at].push({ requests: perSecond, cpu })
        }
    }
    return summaries('WebSocket messages', targets, runs)
}

/** Sign-ins and refreshes a second at a provider that costs nothing, and a load of many sessions in turn. */
async function measurePeople(place, report) {
    const handler = await startHandler(place, { quick: true, more: { LOG: 'info,audit=warn' } })
    const { cookies, figures } = await signInMany(handler.process, handler.origin, Number(options.sessions))
    report.signIns = figures
    report.refreshes = await refreshMany(handler.process, handler.origin, cookies.slice(0, 2_000))
    const file = join(folder, 'cookies')
    writeFileSync(file, `${cookies.join('\n')}\n`)
    const many = target('handler, signed in', handler)
    const kind = { ...LOADS[1], name: `1 KB, 64 connections, ${cookies.length} sessions` }
    report.rows.push(...(await compare(kind, [place.nginx, many], { [many.name]: file })))
}

/** Every request reads the store: the emulator of Cosmos DB, and no cache. */
async function measureStore(place, report) {
    const cosmos = await startCosmos()
    started.push(cosmos)
    const more = { ...cosmos.settings, SESSION_STORE: 'cosmos', SESSION_CACHE_TTL: '0s' }
    const handler = await startHandler(place, { more })
    const cold = target('handler, each request reads the store', handler, { cookie: await signIn(handler.origin) })
    const kind = { ...LOADS[1], name: '1 KB, 64 connections, cold' }
    report.rows.push(...(await compare(kind, [place.nginx, cold])))
}

/** Behind the Functions host, whose own cost is told apart. */
async function measureHost(place, report) {
    const [port, providerPort] = await freePorts(2)
    const origin = `http://127.0.0.1:${port}`
    const provider = await startProvider(providerPort, origin)
    started.push(provider)
    const settings = settingsFor(place, origin, `http://127.0.0.1:${providerPort}`, {})
    const host = await startHost(folder, port, options.handler, settings)
    if (!host) return
    started.push(host)
    const only = (program) => ({ cpuSeconds: () => host.cpuSeconds(program) })
    const cookie = await signIn(origin)
    const behind = target('handler behind the host, without the host', { process: only('oauth-proxy'), origin }, { cookie })
    const whole = target('handler and host', { process: host, origin }, { cookie })
    const kind = { ...LOADS[1], name: '1 KB, 64 connections, host' }
    report.rows.push(...(await compare(kind, [place.nginx, behind, whole])))
}

/** Instructions of a signed-in request; the binary must have its symbols. */
async function measureInstructions(place) {
    const more = { SESSION_CACHE_TTL: '60s', SESSION_IDLE_TIMEOUT: '1h' }
    const counted = await startHandler(place, { more, start: (settings) => startCounted(options.handler, settings, folder) })
    const cookie = await signIn(counted.origin)
    return countInstructions(counted.process, folder, `${counted.origin}/1k`, { cookie })
}
