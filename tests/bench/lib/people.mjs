// Sign-ins and refreshes, many at once: how many a second, and what each costs the handler.

import { Agent, request } from 'node:http'

import { signIn } from './sign-in.mjs'

const AT_ONCE = 32

/** Signs `count` people in; their cookies, and the figures. */
export async function signInMany(handler, origin, count) {
    const cookies = []
    const figures = await measure(handler, count, async () => cookies.push(await signIn(origin)))
    return { cookies, figures }
}

/** Forces a refresh of each of these sessions. */
export function refreshMany(handler, origin, cookies) {
    const agent = new Agent({ keepAlive: true })
    const headers = { 'x-csrf': '1', 'sec-fetch-site': 'same-origin', 'content-length': 0 }
    return measure(handler, cookies.length, async (at) => {
        const status = await post(`${origin}/oauth/refresh`, { ...headers, cookie: cookies[at] }, agent)
        if (status >= 300) throw new Error(`a refresh got ${status}`)
    }).finally(() => agent.destroy())
}

async function measure(handler, count, work) {
    const [cpu, begun] = [handler.cpuSeconds(), performance.now()]
    let next = 0
    const worker = async () => {
        while (next < count) await work(next++)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    const seconds = (performance.now() - begun) / 1000
    return { perSecond: count / seconds, cpu: ((handler.cpuSeconds() - cpu) * 1e6) / count }
}

function post(url, headers, agent) {
    return new Promise((resolve, reject) => {
        const sent = request(url, { method: 'POST', headers, agent }, (response) => {
            response.resume().once('end', () => resolve(response.statusCode))
        })
        sent.once('error', reject).end()
    })
}
