// The bars of this version, signed in, against nginx without any authentication. They rise with what is reached.

const BARS = {
    '1 KB, 1 connection': { requests: 0.8, cpu: 1.5, p99: 2 },
    '1 KB, 64 connections': { requests: 0.82, cpu: 1.45, p99: 2 },
    '1 KB, 512 connections': { requests: 0.75, cpu: 1.7, p99: 2, opened: 1 },
    '100 KB, 64 connections': { requests: 1, p99: 2 },
}
const INSTRUCTIONS = 60_000
const START_MS = 25
const RULE_NS = 1_000
const PSS_MB = { '1 KB, 64 connections': 15, '1 KB, 512 connections': 60 }
const PSS_IDLE_MB = 17 // on the way to 15

/** A sentence for each bar that was missed; what was not measured misses none. */
export function missedBars(report) {
    const missed = []
    const atMost = (what, value, bar) => value > bar && missed.push(`${what}: ${value.toFixed(2)}, not at most ${bar}`)
    for (const row of report.rows.filter((row) => row.target === 'handler, signed in' && BARS[row.load])) {
        const bar = BARS[row.load]
        if (row.requestsRatio < bar.requests) missed.push(`${row.load}: requests/s ${row.requestsRatio.toFixed(2)} of nginx, not ${bar.requests}`)
        if (bar.cpu) atMost(`${row.load}: CPU, ÷ nginx`, row.cpuRatio, bar.cpu)
        atMost(`${row.load}: p99, ÷ nginx`, row.p99Ratio, bar.p99)
        if (bar.opened) atMost(`${row.load}: connections opened for 100 requests`, row.opened, bar.opened)
    }
    for (const [load, bar] of Object.entries(PSS_MB)) atMost(`PSS in MB after ${load}`, report[`pss ${load}`], bar)
    atMost('PSS in MB when idle', report.pssIdle, PSS_IDLE_MB)
    atMost('milliseconds from start to first answer', report.startMs, START_MS)
    atMost('nanoseconds of a rule over ten claims and three headers', report.ruleNs, RULE_NS)
    atMost('instructions a request', report.instructions?.withoutSha256, INSTRUCTIONS)
    return missed
}
