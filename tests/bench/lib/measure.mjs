// Processes and what they cost, read from /proc.

import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'

import { freePort } from '../../e2e/lib/network.mjs'

const TICKS_A_SECOND = 100 // USER_HZ, fixed on Linux

/** A process of ours; whatever it starts counts with it. */
export class Process {
    constructor(command, args, environment, { stdout = 'ignore', stderr = 'inherit' } = {}) {
        const env = { PATH: process.env.PATH, ...environment }
        this.child = spawn(command, args, { env, stdio: ['ignore', stdout, stderr] })
        this.ended = new Promise((resolve) => this.child.once('exit', resolve))
    }

    /** Waits until `url` responds 200. */
    async responds(url) {
        for (;;) {
            const response = await fetch(url).catch(() => undefined)
            if (response?.status === 200) return
            if (this.child.exitCode !== null) throw new Error(`the process ended with ${this.child.exitCode}`)
            await new Promise((resolve) => setImmediate(resolve))
        }
    }

    /** Of everything in it, or of what runs the program of this name. */
    cpuSeconds(program) {
        const counted = this.tree().filter((pid) => !program || commandOf(pid) === program)
        return counted.reduce((sum, pid) => sum + ticks(pid), 0) / TICKS_A_SECOND
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

function commandOf(pid) {
    try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
    } catch {
        return undefined // as above
    }
}

function ticks(pid) {
    const stat = fields(pid)
    return stat ? Number(stat[11]) + Number(stat[12]) : 0
}

/** TCP connections that this machine has opened so far. */
export function connectionsOpened() {
    const [names, values] = readFileSync('/proc/net/snmp', 'utf8').split('\n').filter((line) => line.startsWith('Tcp:'))
    return Number(values.split(' ')[names.split(' ').indexOf('ActiveOpens')])
}

export function median(numbers) {
    const sorted = [...numbers].sort((one, other) => one - other)
    const middle = sorted.length >> 1
    return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Ports that are free now. */
export async function freePorts(count) {
    const ports = new Set()
    while (ports.size < count) ports.add(await freePort())
    return [...ports]
}
