// User-space instructions of the handler a request, counted by Valgrind: the same on any machine, whatever else runs.

import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'

import { Process } from './measure.mjs'

/**
 * SHA-256 by the names of functions, by its sources where it is inlined into others, and by the sources of the rotations
 * and additions inlined along with it. Valgrind's processor has no instructions for it, so its count says nothing of a
 * real one.
 */
const SHA256 = { name: /sha2|sha256/i, source: /\/sha2-[\d.]+\//, along: /core\/src\/(intrinsics|num)\// }

/** Has glibc clear large pieces with vectors: Valgrind counts each byte of `rep stosb`, a processor one instruction. */
const NO_REP_STOSB = 'glibc.cpu.x86_rep_stosb_threshold=1000000000'

/**
 * Starts the handler under callgrind; one worker, because Valgrind runs one thread at a time. The binary needs its
 * symbols: profile `profiling`.
 */
export function startCounted(handler, settings, folder) {
    const out = `--callgrind-out-file=${join(folder, 'callgrind')}`
    const valgrind = ['--tool=callgrind', '--quiet', out, handler]
    return new Process('valgrind', valgrind, { ...settings, WORKERS: '1', GLIBC_TUNABLES: NO_REP_STOSB }, { stderr: 'ignore' })
}

/** Instructions a request: all of them, and without those of SHA-256. Also the file of the profile. */
export async function countInstructions(handler, folder, url, headers, { warmUp = 200, requests = 1_000 } = {}) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const send = async (count) => {
        for (let sent = 0; sent < count; sent += 1) await exchange(url, headers, agent)
    }
    await send(warmUp)
    control('--zero', handler)
    await send(requests)
    control('--dump', handler)
    agent.destroy()
    const profile = newestProfile(folder)
    return { profile, ...perRequest(profile, requests) }
}

function control(command, handler) {
    execFileSync('callgrind_control', [command, `${handler.child.pid}`], { stdio: 'ignore' })
}

/** Dumps are numbered. */
function newestProfile(folder) {
    const numbers = readdirSync(folder).map((name) => Number(/^callgrind\.(\d+)$/.exec(name)?.[1] ?? 0))
    return join(folder, `callgrind.${Math.max(...numbers)}`)
}

function perRequest(profile, requests) {
    const costs = selfCosts(readFileSync(profile, 'utf8'))
    const sum = (some) => some.reduce((total, { cost }) => total + cost, 0)
    const inlining = new Set(costs.filter(({ source }) => SHA256.source.test(source)).map(({ name }) => name))
    const isSha256 = ({ name, source }) =>
        SHA256.name.test(name) || SHA256.source.test(source) || (inlining.has(name) && SHA256.along.test(source))
    const all = sum(costs)
    return { all: all / requests, withoutSha256: (all - sum(costs.filter(isSha256))) / requests }
}

/** Costs by function and source file: a line of a number and a cost, under the lines that name the two. */
function selfCosts(text) {
    const [functions, files, costs] = [new Map(), new Map(), new Map()]
    let [name, source, isCall] = ['', '', false]
    for (const line of text.split('\n')) {
        const named = /^(c?)(fn|fl|fi|fe)=\((\d+)\)(?: (.*))?$/.exec(line)
        if (named) {
            const [, isCallee, kind, id, text] = named
            const names = kind === 'fn' ? functions : files
            if (text) names.set(id, text)
            if (isCallee) continue
            if (kind === 'fn') name = names.get(id)
            else source = names.get(id)
        } else if (line.startsWith('calls=')) {
            isCall = true // the next line is the callee's inclusive cost
        } else if (/^[+*\-\d]/.test(line)) {
            const key = `${name} ${source}`
            const before = costs.get(key)?.cost ?? 0
            if (!isCall) costs.set(key, { name, source, cost: before + Number(line.split(' ')[1] ?? 0) })
            isCall = false
        }
    }
    return [...costs.values()]
}

function exchange(url, headers, agent) {
    return new Promise((resolve, reject) => {
        const request = get(url, { agent, headers }, (answer) => {
            if (answer.statusCode !== 200) reject(new Error(`status ${answer.statusCode}`))
            answer.resume().once('end', resolve)
        })
        request.once('error', reject)
    })
}
