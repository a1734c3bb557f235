// WebSocket messages there and back, one after another on each socket. Proxies pass the frames as bytes, so nobody here
// parses them: the application sends back what it gets.

import { createServer, request } from 'node:http'

const SOCKETS = 16
const FRAME = Buffer.concat([Buffer.from([0x82, 0xc0, 0, 0, 0, 0]), Buffer.alloc(64, 'a')]) // masked with zeros

/** Starts the application; resolves to its port and to what stops it. */
export async function startEcho() {
    const sockets = new Set()
    const server = createServer((_req, res) => res.end())
    server.on('upgrade', (req, socket) => {
        sockets.add(socket.once('close', () => sockets.delete(socket)))
        socket.on('error', () => socket.destroy())
        socket.setNoDelay(true)
        socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n')
        socket.pipe(socket)
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const stop = () => {
        server.close()
        for (const socket of sockets) socket.destroy()
    }
    return { port: server.address().port, stop }
}

/** Round trips through `target` for `seconds`: how many a second, and what each costs the target. */
export async function exchangeMessages(target, seconds) {
    const sockets = await Promise.all(Array.from({ length: SOCKETS }, () => open(target)))
    const [cpu, begun] = [target.process.cpuSeconds(), performance.now()]
    const until = begun + seconds * 1000
    const counts = await Promise.all(sockets.map((socket) => pingPong(socket, until)))
    const messages = counts.reduce((sum, count) => sum + count, 0)
    const took = (performance.now() - begun) / 1000
    return { perSecond: messages / took, cpu: ((target.process.cpuSeconds() - cpu) * 1e6) / messages }
}

function open({ url, cookie, origin }) {
    const headers = {
        connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        ...(cookie ? { cookie } : {}), ...(origin ? { origin } : {}),
    }
    return new Promise((resolve, reject) => {
        const sent = request(url('ws'), { headers })
        sent.once('upgrade', (_response, socket) => resolve(socket.setNoDelay(true)))
        sent.once('response', (response) => reject(new Error(`the handshake got ${response.statusCode}`)))
        sent.once('error', reject).end()
    })
}

function pingPong(socket, until) {
    return new Promise((resolve, reject) => {
        let [count, arrived] = [0, 0]
        socket.on('data', (bytes) => {
            arrived += bytes.length
            if (arrived < FRAME.length) return
            arrived = 0
            count += 1
            if (performance.now() < until) return socket.write(FRAME)
            socket.destroy()
            return resolve(count)
        })
        socket.once('error', reject)
        socket.write(FRAME)
    })
}
