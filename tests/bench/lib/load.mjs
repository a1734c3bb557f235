// One run of wrk against one target, and what it cost the target's process.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const MILLISECONDS = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** Loads `target` with `connections` for `seconds`. With `cookies`, a file of one a line, requests take them in turn. */
export async function load(target, { path, connections, seconds, cookies }) {
    const before = target.process.cpuSeconds()
    const headers = target.cookie && !cookies ? ['-H', `cookie: ${target.cookie}`] : []
    const script = cookies ? ['-s', 'tests/bench/lib/in-turn.lua'] : []
    const options = ['--latency', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', ...headers, ...script]
    const { stdout } = await run('wrk', [...options, target.url(path), ...(cookies ? ['--', cookies] : [])])
    const requests = Number(/(\d+) requests in/.exec(stdout)[1])
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${target.name}: ${stdout}`)
    return {
        requests: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]),
        p50: percentile(50, stdout),
        p99: percentile(99, stdout),
        cpu: ((target.process.cpuSeconds() - before) * 1e6) / requests,
    }
}

/** Milliseconds, from wrk's latency distribution. */
function percentile(percent, output) {
    const [, number, unit] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s|m)$`, 'm').exec(output)
    return Number(number) * MILLISECONDS[unit]
}
