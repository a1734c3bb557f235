// The benchmark: the handler against nginx as a plain proxy, in one interleaved run on one machine.
//
// Everything is a ratio to nginx of the same run, because machines and their moods differ. Starts nginx twice (an
// upstream and a proxy), the certified oidc-provider, and the release build of the handler; signs in; measures.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { CLIENT_ID, CLIENT_SECRET } from './lib/client.mjs'
import { median, Process, freePorts, loadMachine } from './lib/measure.mjs'
import { nginxProxy, nginxUpstream } from './lib/nginx.mjs'
import { plot, table } from './lib/report.mjs'
import { signIn, startProvider } from './lib/sign-in.mjs'

const { values: options } = parseArgs({
    options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '5' },
        connections: { type: 'string', default: '64' },
        handler: { type: 'string', default: 'target/release/oauth-proxy' },
        log: { type: 'string', default: 'info' },
        plot: { type: 'string' },
        check: { type: 'boolean', default: false },
    },
})
const BODIES = [
    { name: '1 KB', file: '1k', bytes: 1024 },
    { name: '100 KB', file: '100k', bytes: 100 * 1024 },
]
// What this version must reach, authenticated, against nginx without any authentication.
const BARS = { '1 KB': { requests: 0.7, cpu: 1.7 }, '100 KB': { requests: 0.9 } }
const BAR_PSS_MB = 20
const BAR_START_MS = 50

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const started = []

try {
    await main()
} finally {
    for (const process of started.reverse()) process.stop()
    rmSync(folder, { recursive: true, force: true })
}

async function main() {
    const [upstreamPort, proxyPort, handlerPort, providerPort] = await freePorts(4)
    for (const place of ['', 'open']) {
        mkdirSync(join(folder, 'www', place), { recursive: true })
        for (const { file, bytes } of BODIES) writeFileSync(join(folder, 'www', place, file), 'a'.repeat(bytes))
    }
    const upstream = `http://127.0.0.1:${upstreamPort}`
    started.push(nginxUpstream(folder, upstreamPort), nginxProxy(folder, proxyPort, upstreamPort))
    const origin = `http://127.0.0.1:${handlerPort}`
    started.push(await startProvider(providerPort, origin))
    const settings = {
        PUBLIC_BASE_URL: origin,
        LISTEN_ADDR: `127.0.0.1:${handlerPort}`,
        ROUTES: JSON.stringify([
            { path: '/', upstream },
            { path: '/open', upstream, access: 'anonymous' },
        ]),
        OIDC_ISSUER_URL: `http://127.0.0.1:${providerPort}`,
        CLIENT_ID,
        CLIENT_SECRET,
        LOG: options.log,
    }
    const startMs = await measureStart(settings)
    const handler = new Process(options.handler, [], settings)
    started.push(handler)
    await handler.answers(`${settings.PUBLIC_BASE_URL}/oauth/health/live`)
    const cookie = await signIn(settings.PUBLIC_BASE_URL)

    const proxy = started[1]
    const targets = [
        { name: 'nginx', process: proxy, url: (file) => `http://127.0.0.1:${proxyPort}/${file}` },
        { name: 'handler, anonymous route', process: handler, url: (file) => `${settings.PUBLIC_BASE_URL}/open/${file}` },
        { name: 'handler, signed in', process: handler, url: (file) => `${settings.PUBLIC_BASE_URL}/${file}`, cookie },
    ]
    const results = runRounds(targets)
    const report = { results, startMs, pss: { nginx: proxy.pssMb(), handler: handler.pssMb() } }
    print(report)
}

/** Milliseconds from the start of the process to its first answer, the median of several starts. */
async function measureStart(settings) {
    const times = []
    for (let run = 0; run < 9; run += 1) {
        const begun = performance.now()
        const handler = new Process(options.handler, [], settings)
        await handler.answers(`${settings.PUBLIC_BASE_URL}/oauth/health/live`)
        times.push(performance.now() - begun)
        handler.stop()
        await handler.ended
    }
    return median(times)
}

/** Every target after every other, again and again: whatever else the machine does meets all of them. */
function runRounds(targets) {
    const rows = []
    for (const body of BODIES) {
        for (const target of targets) rows.push({ body: body.name, target: target.name, runs: [] })
        for (let round = 0; round <= Number(options.rounds); round += 1) {
            for (const target of targets) {
                const run = load(target, body)
                const row = rows.find((row) => row.body === body.name && row.target === target.name)
                if (round > 0) row.runs.push(run) // the first round only warms up
            }
        }
    }
    return rows.map((row) => summary(row, rows))
}

function load(target, body) {
    const machine = loadMachine()
    const before = target.process.cpuSeconds()
    const headers = target.cookie ? ['-H', `cookie: ${target.cookie}`] : []
    const wrk = ['--latency', '-t1', `-c${options.connections}`, `-d${options.seconds}s`, ...headers, target.url(body.file)]
    const output = execFileSync('wrk', wrk, { encoding: 'utf8' })
    const cpu = target.process.cpuSeconds() - before
    const requests = Number(/(\d+) requests in/.exec(output)[1])
    if (/Non-2xx|Socket errors/.test(output)) throw new Error(`${target.name}: ${output}`)
    return {
        requests: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)[1]),
        p50: percentile(50, output),
        p99: percentile(99, output),
        cpu: (cpu * 1e6) / requests,
        busy: machine(),
    }
}

/** Milliseconds, from wrk's latency distribution. */
function percentile(percent, output) {
    const [, number, unit] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, 'm').exec(output)
    return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit]
}

/** Medians, and the medians of the ratios to nginx of the same round. */
function summary(row, rows) {
    const nginx = rows.find((other) => other.body === row.body && other.target === 'nginx')
    const figure = (name) => median(row.runs.map((run) => run[name]))
    const ratio = (name) => median(row.runs.map((run, round) => run[name] / nginx.runs[round][name]))
    return {
        body: row.body,
        target: row.target,
        requests: figure('requests'),
        p50: figure('p50'),
        p99: figure('p99'),
        cpu: figure('cpu'),
        requestsRatio: ratio('requests'),
        cpuRatio: ratio('cpu'),
    }
}

function print({ results, startMs, pss }) {
    console.log(`${cpus().length} cores, ${options.connections} connections, ${options.rounds} rounds of ${options.seconds} s, LOG=${options.log}\n`)
    console.log(table(results))
    console.log(`\nPSS after the load: handler ${pss.handler.toFixed(1)} MB, nginx ${pss.nginx.toFixed(1)} MB`)
    console.log(`From start to first answer: ${startMs.toFixed(0)} ms (median of 9)`)
    if (options.plot) writeFileSync(options.plot, plot(results))
    const missed = missedBars(results, startMs, pss)
    for (const miss of missed) console.log(`below the bar: ${miss}`)
    if (options.check && missed.length > 0) process.exitCode = 1
}

function missedBars(results, startMs, pss) {
    const missed = []
    for (const row of results.filter((row) => row.target === 'handler, signed in')) {
        const bar = BARS[row.body]
        if (row.requestsRatio < bar.requests) missed.push(`${row.body}: requests/s ${row.requestsRatio.toFixed(2)} of nginx, not ${bar.requests}`)
        if (bar.cpu && row.cpuRatio > bar.cpu) missed.push(`${row.body}: CPU ${row.cpuRatio.toFixed(2)} of nginx, not ${bar.cpu}`)
    }
    if (pss.handler > BAR_PSS_MB) missed.push(`PSS ${pss.handler.toFixed(1)} MB, not ${BAR_PSS_MB}`)
    if (startMs > BAR_START_MS) missed.push(`first answer after ${startMs.toFixed(0)} ms, not ${BAR_START_MS}`)
    return missed
}
