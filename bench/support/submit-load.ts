// Clients that submit over HTTP, one process for all of them: `node submit-load.ts URL KEY CLIENTS SECONDS WARM_UP_S`.
// Each has a connection of its own and sends the next job when the last one is answered. On bare sockets, because what
// they use is taken from the cores that the server and the database have.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { realBacktest } from '../../test/support/desk.ts'

export interface Load {
  submits: number
  /** Answers other than 201, and the first of them. */
  failed: number
  failure: string | null
  seconds: number
  taken_ms: number[]
  cpu_s: number
}

const [url = '', key = '', clients = '32', seconds = '5', warmUp_s = '0'] = process.argv.slice(2)
const { hostname, port, host } = new URL(url)
const body = JSON.stringify(realBacktest())
const run = randomBytes(6).toString('hex')
const head =
  `POST /v1/jobs HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n` +
  `Content-Length: ${Buffer.byteLength(body)}\r\nIdempotency-Key: `

let sent = 0
let from_ms = 0
let from_cpu = process.cpuUsage()
let until_ms = Number.POSITIVE_INFINITY
const load: Load = { submits: 0, failed: 0, failure: null, seconds: 0, taken_ms: [], cpu_s: 0 }

function client(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  let at_ms = 0
  let text = ''
  const next = () => {
    at_ms = performance.now()
    if (at_ms >= until_ms) return void socket.end(resolve)
    text = ''
    socket.write(`${head}${run}-${sent++}\r\n\r\n${body}`)
  }
  socket.setEncoding('latin1')
  socket.on('connect', next)
  socket.on('error', reject)
  socket.on('close', () => reject(new Error('the server closed the connection')))
  socket.on('data', (chunk: string) => {
    text += chunk
    const ends = text.indexOf('\r\n\r\n')
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1]
    if (ends < 0 || length === undefined || text.length < ends + 4 + Number(length)) return
    const now_ms = performance.now()
    if (!text.startsWith('HTTP/1.1 201')) {
      load.failed++
      load.failure ??= text.slice(0, 2_000)
    } else if (at_ms >= from_ms && now_ms <= until_ms) {
      load.submits++
      load.taken_ms.push(now_ms - at_ms)
    }
    next()
  })
  return promise
}

const all = Promise.all(Array.from({ length: Number(clients) }, client))
// What is measured begins when everybody is at it, and the server is warm.
setTimeout(
  () => {
    from_ms = performance.now()
    from_cpu = process.cpuUsage()
    load.submits = 0
    load.taken_ms = []
    until_ms = from_ms + Number(seconds) * 1_000
  },
  Number(warmUp_s) * 1_000,
)
from_ms = Number.POSITIVE_INFINITY
await all
const { user, system } = process.cpuUsage(from_cpu)
load.seconds = Number(seconds)
load.cpu_s = (user + system) / 1e6
process.stdout.write(JSON.stringify(load))
