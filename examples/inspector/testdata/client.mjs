// Sends each message beside this file, waits for its echo, and prints the
// SHA-256 of all that came back.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const dir = dirname(fileURLToPath(import.meta.url))
const messages = readdirSync(dir).filter(name => /^\d+\./.test(name)).sort()
const hash = createHash('sha256')
const socket = new WebSocket(process.argv[2])
socket.binaryType = 'arraybuffer'
let at = 0

function send () {
  const data = readFileSync(join(dir, messages[at]))
  socket.send(messages[at].endsWith('.text') ? data.toString() : data)
}
socket.onopen = send
socket.onmessage = ({ data }) => {
  hash.update(typeof data === 'string' ? data : Buffer.from(data))
  if (++at < messages.length) return send()
  socket.close(1000, 'bye')
}
socket.onclose = ({ code, wasClean }) => {
  if (!wasClean || code !== 1000) throw new Error(`closed: ${code}`)
  console.log(hash.digest('hex'))
}
socket.onerror = event => { throw event.error ?? new Error(event.message) }
