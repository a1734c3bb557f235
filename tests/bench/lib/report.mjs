// The figures as a table for a document, and as a picture.

const HEADINGS = ['body', 'through', 'requests/s', '÷ nginx', 'p50 ms', 'p99 ms', 'CPU µs/request', '÷ nginx']

export function table(results) {
    const rows = results.map((row) => [
        row.body, row.target, row.requests.toFixed(0), row.requestsRatio.toFixed(2), row.p50.toFixed(2), row.p99.toFixed(2),
        row.cpu.toFixed(1), row.cpuRatio.toFixed(2),
    ])
    const line = (cells) => `| ${cells.join(' | ')} |`
    return [line(HEADINGS), line(HEADINGS.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Bars of both ratios, light and dark, nginx being the line at 1. */
export function plot(results) {
    const rows = results.filter((row) => row.target !== 'nginx')
    const [left, unit, step] = [250, 300, 58]
    const height = 80 + rows.length * step
    const bar = (y, ratio, kind, text) =>
        `<rect class="${kind}" x="${left}" y="${y}" width="${(ratio * unit).toFixed(1)}" height="16" rx="2"/>` +
        `<text class="small" x="${left + ratio * unit + 8}" y="${y + 13}">${text}</text>`
    const body = rows.map((row, index) => {
        const y = 56 + index * step
        return (
            `<text x="${left - 14}" y="${y + 14}" text-anchor="end">${row.target}</text>` +
            `<text class="small" x="${left - 14}" y="${y + 32}" text-anchor="end">${row.body}</text>` +
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
