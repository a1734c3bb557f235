// The figures as tables for a document, and as a picture.

const HEADINGS = ['load', 'through', 'requests/s', '÷ nginx', 'p50 ms', 'p99 ms', '÷ nginx', 'CPU µs/request', '÷ nginx', 'opened/100']

export function print(report) {
    console.log(`${report.cores} cores, ${report.rounds} rounds of ${report.seconds} s, LOG=${report.log}; ratios with lowest and highest round\n`)
    console.log(table(report.rows))
    const say = (what, value, unit, digits = 1) => value !== undefined && console.log(`${what}: ${value.toFixed(digits)} ${unit}`)
    console.log()
    say('Instructions a request, without SHA-256', report.instructions?.withoutSha256, '', 0)
    say('A rule over ten claims and three headers', report.ruleNs, 'ns a request', 0)
    say('Sign-ins', report.signIns?.perSecond, 'a second', 0)
    say('  CPU of each', report.signIns?.cpu, 'µs', 0)
    say('Refreshes', report.refreshes?.perSecond, 'a second', 0)
    say('  CPU of each', report.refreshes?.cpu, 'µs', 0)
    for (const [name, value] of Object.entries(report)) if (name.startsWith('pss ')) say(`PSS after ${name.slice(4)}`, value, 'MB')
    say('PSS when idle', report.pssIdle, 'MB')
    say('From start to first answer, median of 9', report.startMs, 'ms')
}

function table(rows) {
    const range = ([low, high]) => `(${low.toFixed(2)}–${high.toFixed(2)})`
    const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '–')
    const cells = rows.map((row) => [
        row.load, row.target, number(row.requests, 0), `${number(row.requestsRatio, 2)} ${range(row.requestsRange)}`, number(row.p50, 2),
        number(row.p99, 2), number(row.p99Ratio, 2), number(row.cpu, 1), `${number(row.cpuRatio, 2)} ${range(row.cpuRange)}`, number(row.opened, 2),
    ])
    const line = (cells) => `| ${cells.join(' | ')} |`
    return [line(HEADINGS), line(HEADINGS.map(() => '---')), ...cells.map(line)].join('\n')
}

/** Bars of both ratios, light and dark, nginx being the line at 1. */
export function plot(results) {
    const rows = results.filter((row) => row.target !== 'nginx')
    const [left, unit, step] = [310, 240, 58]
    const height = 80 + rows.length * step
    const longest = 1.8 // what reads the store costs many times as much
    const bar = (y, ratio, kind, text) =>
        `<rect class="${kind}" x="${left}" y="${y}" width="${(Math.min(ratio, longest) * unit).toFixed(1)}" height="16" rx="2"/>` +
        `<text class="small" x="${left + Math.min(ratio, longest) * unit + 8}" y="${y + 13}">${text}</text>`
    const body = rows.map((row, index) => {
        const y = 56 + index * step
        return (
            `<text x="${left - 14}" y="${y + 14}" text-anchor="end">${row.target}</text>` +
            `<text class="small" x="${left - 14}" y="${y + 32}" text-anchor="end">${row.load}</text>` +
            bar(y, row.requestsRatio, 'requests', `${row.requestsRatio.toFixed(2)} of the requests/s`) +
            bar(y + 20, row.cpuRatio, 'cpu', `${row.cpuRatio.toFixed(2)} of the CPU a request`)
        )
    })
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 ${height}" width="960" height="${height}" role="img" aria-label="Requests per second and CPU of the handler, as ratios to nginx">
<style>
text { font: 14px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1b2430; } .small { font-size: 12px; fill: #46525f; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
.ground { fill: #fff; } .requests { fill: #0b5cad; } .cpu { fill: #b26a00; } .one { stroke: #46525f; stroke-dasharray: 4 4; }
@media (prefers-color-scheme: dark) { text { fill: #e9edf2; } .small { fill: #a7b1bd; stroke: #12161b; } .ground { fill: #12161b; } .requests { fill: #8cc2f5; } .cpu { fill: #f0b35a; } .one { stroke: #a7b1bd; } }
</style>
<rect class="ground" width="960" height="${height}"/>
<text class="small" x="${left + unit}" y="28" text-anchor="middle">nginx, no authentication = 1</text>
<line class="one" x1="${left + unit}" y1="36" x2="${left + unit}" y2="${height - 16}"/>
${body.join('\n')}
</svg>
`
}
