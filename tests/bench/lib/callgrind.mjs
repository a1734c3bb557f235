// User-space instructions of the handler a request, counted by Valgrind: the same on any machine, whatever else runs.

import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { join } from 'node:path'

import { Process } from './measure.mjs'

/** Symbols of SHA-256. Valgrind's processor has no instructions for it, so its count says nothing of a real one. */
const SHA256 = /sha2|sha256/i

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

/** Adds up self costs: a line of a number and a cost, under the `fn=` that names the function. */
function perRequest(profile, requests) {
    const names = new Map()
    let [all, sha256, inSha256, isCall] = [0, 0, false, false]
    for (const line of readFileSync(profile, 'utf8').split('\n')) {
        const named = /^fn=\((\d+)\)(?: (.*))?$/.exec(line)
        if (named) {
            if (named[2]) names.set(named[1], named[2])
            inSha256 = SHA256.test(names.get(named[1]))
        } else if (/^c(fn|fi|fl|ob)=/.test(line)) {
            const callee = /^cfn=\((\d+)\) (.*)$/.exec(line)
            if (callee) names.set(callee[1], callee[2])
        } else if (line.startsWith('calls=')) {
            isCall = true // the next line is the callee's inclusive cost
        } else if (/^[+*\-\d]/.test(line)) {
            const cost = Number(line.split(' ')[1] ?? 0)
            if (!isCall) {
                all += cost
                if (inSha256) sha256 += cost
            }
            isCall = false
        }
    }
    return { all: all / requests, withoutSha256: (all - sha256) / requests }
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
