// Processes and what they cost, read from /proc.

import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'

const TICKS_A_SECOND = 100 // USER_HZ, fixed on Linux

/** A process of ours; whatever it starts counts with it. */
export class Process {
    constructor(command, args, environment, { stdout = 'ignore', stderr = 'inherit' } = {}) {
        const env = { PATH: process.env.PATH, ...environment }
        this.child = spawn(command, args, { env, stdio: ['ignore', stdout, stderr] })
        this.ended = new Promise((resolve) => this.child.once('exit', resolve))
    }

    /** Waits until `url` answers 200. */
    async answers(url) {
        for (;;) {
            const answer = await fetch(url).catch(() => undefined)
            if (answer?.status === 200) return
            if (this.child.exitCode !== null) throw new Error(`the process ended with ${this.child.exitCode}`)
            await new Promise((resolve) => setImmediate(resolve))
        }
    }

    cpuSeconds() {
        return this.tree().reduce((sum, pid) => sum + ticks(pid), 0) / TICKS_A_SECOND
    }

    /** Proportional set size: memory of its own, and its share of what it shares. */
    pssMb() {
        const kilobytes = (pid) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1])
        return this.tree().reduce((sum, pid) => sum + kilobytes(pid), 0) / 1024
    }

    stop() {
        this.child.kill('SIGTERM')
    }

    tree() {
        const children = new Map()
        for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
            const parent = Number(fields(pid)?.[1])
            children.set(parent, [...(children.get(parent) ?? []), Number(pid)])
        }
        const all = [this.child.pid]
        for (const pid of all) all.push(...(children.get(pid) ?? []))
        return all
    }
}

/** The fields of /proc/PID/stat behind the name: state, parent, … */
function fields(pid) {
    try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ')
    } catch {
        return undefined // it ended meanwhile
    }
}

function ticks(pid) {
    const stat = fields(pid)
    return stat ? Number(stat[11]) + Number(stat[12]) : 0
}

/** Begins to watch the machine; the returned function tells how busy it was, 0 to 1. */
export function loadMachine() {
    const read = () => readFileSync('/proc/stat', 'utf8').split('\n')[0].split(/\s+/).slice(1, 9).map(Number)
    const before = read()
    return () => {
        const spent = read().map((now, column) => now - before[column])
        return 1 - (spent[3] + spent[4]) / spent.reduce((sum, column) => sum + column, 0)
    }
}

export function median(numbers) {
    const sorted = [...numbers].sort((one, other) => one - other)
    const middle = sorted.length >> 1
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Ports that are free now. */
export async function freePorts(count) {
    const servers = Array.from({ length: count }, () => createServer())
    await Promise.all(servers.map((server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))))
    const ports = servers.map((server) => server.address().port)
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    return ports
}
