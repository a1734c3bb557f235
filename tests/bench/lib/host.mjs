// The handler behind the Functions host, or behind the stand-in that FUNCTIONS_HOST_DOUBLE names.

import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { Process } from './measure.mjs'

/** Starts it; `undefined` where there is no host. */
export async function startHost(folder, port, handler, settings) {
    const program = process.env.FUNCTIONS_HOST_DOUBLE
    if (!program) return undefined
    const app = join(folder, 'app')
    mkdirSync(join(app, 'bin'), { recursive: true })
    cpSync('host.json', join(app, 'host.json'))
    for (const name of readdirSync('.')) {
        if (existsSync(join(name, 'function.json'))) cpSync(name, join(app, name), { recursive: true })
    }
    symlinkSync(resolve(handler), join(app, 'bin', 'oauth-proxy'))
    const Values = { FUNCTIONS_WORKER_RUNTIME: 'custom', AzureWebJobsStorage: '', ...settings }
    writeFileSync(join(app, 'local.settings.json'), JSON.stringify({ IsEncrypted: false, Values }))
    const host = new Process(program, ['start', app, '--port', `${port}`], { HOME: process.env.HOME })
    await host.responds(`http://127.0.0.1:${port}/oauth/health/live`)
    return host
}
