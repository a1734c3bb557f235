// nginx, as the upstream and as the plain proxy that everything is compared with.

import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

import { Process } from './measure.mjs'

/** Started by root, nginx would change to a user who can't read our folder. */
function asOurselves() {
    return process.getuid() === 0 ? 'user root root;' : ''
}

/**
 * Serves the files of `folder`/www. It reads a head of up to 8 KiB at once. With nginx's default of 1 KB, a head with a
 * token takes two steps, and the difference would be attributed to the proxy.
 */
export function nginxUpstream(folder, port) {
    const server = `server { listen 127.0.0.1:${port}; root ${join(folder, 'www')}; }`
    return nginx(folder, 'upstream', 1, `client_header_buffer_size 8k; ${server}`)
}

/** As long as the certified provider's access token, a JWT. */
const TOKEN = 'x'.repeat(1300)

/**
 * Passes everything on, over kept connections, with as many workers as the handler has threads; WebSockets to another.
 * Below `/token` it adds a token to each request: what the upstream's reading of one costs, whoever sends it.
 */
export function nginxProxy(folder, port, upstreamPort, echoPort) {
    return nginx(
        folder,
        'proxy',
        availableParallelism(),
        `upstream app { server 127.0.0.1:${upstreamPort}; keepalive 64; keepalive_requests 1000000; }
         server { listen 127.0.0.1:${port}; location / {
             proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_pass http://app; }
             location /token/ { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
             proxy_set_header Authorization "Bearer ${TOKEN}"; proxy_pass http://app/; }
             location /ws { proxy_http_version 1.1; proxy_set_header Connection "Upgrade"; proxy_set_header Upgrade $http_upgrade;
             proxy_pass http://127.0.0.1:${echoPort}; } }`,
    )
}

function nginx(folder, name, workers, servers) {
    const own = join(folder, name)
    mkdirSync(own)
    const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    const temporary = kinds.map((kind) => `${kind}_temp_path ${join(own, kind)};`).join(' ')
    const file = join(own, 'nginx.conf')
    writeFileSync(
        file,
        `${asOurselves()} daemon off; worker_processes ${workers}; pid ${join(own, 'pid')}; error_log ${join(own, 'error.log')};
         events { worker_connections 4096; }
         http { access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000; ${temporary} ${servers} }`,
    )
    return new Process('nginx', ['-c', file, '-e', join(own, 'error.log')], {})
}
