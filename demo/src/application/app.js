// The page's few scripts. Each shows one thing that passes through the proxy.

const byId = (id) => document.getElementById(id)

// The countdown of the access token; the page asks which token its own request came with.
const token = { iat: Number(byId('token').dataset.iat), exp: Number(byId('token').dataset.exp) }

function showToken() {
    const left = Math.max(0, token.exp - Date.now() / 1000)
    byId('left').textContent = Math.ceil(left)
    byId('bar').value = (100 * left) / Math.max(1, token.exp - token.iat)
}

async function readToken() {
    const answer = await fetch('/api/token').catch(() => undefined)
    if (!answer?.ok) return
    const { iat, exp, generation } = await answer.json()
    const renewed = String(generation - 1)
    if (byId('renewed').textContent !== renewed) byId('token').animate({ outlineColor: ['var(--accent)', 'transparent'] }, 1500)
    Object.assign(token, { iat, exp })
    byId('renewed').textContent = renewed
}

showToken()
setInterval(showToken, 250)
setInterval(readToken, 2000)

byId('upload').addEventListener('click', async () => {
    const [file] = byId('file').files
    if (!file) return (byId('uploaded').textContent = 'Choose a file first.')
    byId('uploaded').textContent = 'Uploading…'
    const answer = await fetch('/upload', { method: 'POST', body: file })
    byId('uploaded').textContent = answer.ok ? describe(await answer.json()) : `Status ${answer.status}`
})

function describe({ bytes, sha256 }) {
    return `${bytes.toLocaleString('en')} bytes, SHA-256 ${sha256}`
}

byId('listen').addEventListener('click', () => {
    const events = new EventSource('/events')
    byId('events').textContent = 'Listening…'
    events.onmessage = ({ data }) => (byId('events').textContent = data)
    events.onerror = () => events.close()
})

byId('ask').addEventListener('click', async () => {
    const answer = await fetch('/api/time')
    byId('asked').textContent = `${answer.status} ${JSON.stringify(await answer.json(), null, 1)}`
})
