// Clients that ask a mix of things at a steady rate, in a process of their own: `node mixed-load.ts URL KEY RATE`. A first message says that what comes
// from then on counts, a second one ends it.
// By the clock and not one after the other: what is slow makes more be under way, as with clients that know nothing of each other.
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { createDraw } from '../../test/simulation/draw.ts'
import { realBacktest } from '../../test/support/desk.ts'

export interface MixedLoad {
  requests: number
  failed: number
  /** Of what was not answered 2xx: its status, or how its connection ended. */
  failures: Record<string, number>
  seconds: number
  p50_ms: number
  p99_ms: number
}

const [url = '', key = '', rate = '1000'] = process.argv.slice(2)
const { hostname, port } = new URL(url)
const agent = new Agent({ keepAlive: true, maxSockets: 256 })
const tick_ms = 5
/** A bound against a hang; clients give up then too. */
const patience_ms = 10_000
/** More than a slow second of all of them: beyond it what is due is told as failed. */
const mostUnderWay = 4_000

const run = randomBytes(6).toString('hex')
/** Work that waits: nobody offers it, so that what is measured is not what it costs to run. */
const body = JSON.stringify(realBacktest({ placement: { providers: ['nobody'] } }))
const known: string[] = []
let load: MixedLoad = { requests: 0, failed: 0, failures: {}, seconds: 0, p50_ms: 0, p99_ms: 0 }
let taken_ms: number[] = []
let number = 0
let underWay = 0

type Asked = { method: 'GET' | 'POST'; path: string }
/** Of a hundred requests in turn. */
const mix: [number, () => Asked][] = [
  [35, () => ({ method: 'GET', path: `/v1/jobs/${someJob()}` })],
  [20, () => ({ method: 'GET', path: '/v1/jobs?limit=20' })],
  [20, () => ({ method: 'POST', path: '/v1/jobs' })],
  [10, () => ({ method: 'GET', path: `/v1/jobs/${someJob()}/events` })],
  [10, () => ({ method: 'GET', path: `/v1/jobs/${someJob()}/logs` })],
  [5, () => ({ method: 'GET', path: '/v1/events?after=latest' })],
]
const kinds = mix.flatMap(([share, make]) => Array.from({ length: share }, () => make))
const draw = createDraw('mixed load')
const someJob = () => known[draw.between(0, known.length - 1)] ?? ''

function note(began_ms: number, failure: string | null): void {
  underWay--
  load.requests++
  taken_ms.push(performance.now() - began_ms)
  if (failure === null) return
  load.failed++
  load.failures[failure] = (load.failures[failure] ?? 0) + 1
}

function ask({ method, path }: Asked): void {
  const began_ms = performance.now()
  underWay++
  const headers: Record<string, string> = { authorization: `Bearer ${key}` }
  if (method === 'POST')
    Object.assign(headers, { 'content-type': 'application/json', 'idempotency-key': `${run}-${number}` })
  const options = { hostname, port, agent, method, path, headers, timeout: patience_ms }
  let isAnswered = false
  const sent = request(options, (response) => {
    isAnswered = true
    const parts: Buffer[] = []
    response.on('data', (part: Buffer) => parts.push(part))
    response.on('error', () => undefined)
    response.on('close', () => {
      if (!response.complete) return note(began_ms, 'cut off')
      const { statusCode = 0 } = response
      if (statusCode === 201 && known.length < 10_000)
        known.push((JSON.parse(Buffer.concat(parts).toString()) as { id: string }).id)
      note(began_ms, statusCode < 300 ? null : String(statusCode))
    })
  })
  sent.on('timeout', () => sent.destroy(new Error('timeout')))
  sent.on('error', (error: NodeJS.ErrnoException) => {
    if (!isAnswered) note(began_ms, error.code ?? error.message)
  })
  sent.end(method === 'POST' ? body : undefined)
}

const began_ms = performance.now()
const timer = setInterval(() => {
  const due = Math.floor(((performance.now() - began_ms) / 1_000) * Number(rate))
  for (; number < due; number++) {
    // 37 and the hundred kinds share no factor: each comes once in a hundred, and none in a row.
    const make = known.length === 0 ? mix[2]?.[1] : kinds[(number * 37) % kinds.length]
    if (underWay >= mostUnderWay) {
      underWay++
      note(performance.now(), 'not sent')
    } else if (make) ask(make())
  }
}, tick_ms)

let from_ms = began_ms
process.once('message', () => {
  from_ms = performance.now()
  load = { ...load, requests: 0, failed: 0, failures: {} }
  taken_ms = []
  process.once('message', finish)
})

function finish(): void {
  clearInterval(timer)
  const sorted = taken_ms.toSorted((a, b) => a - b)
  load.seconds = (performance.now() - from_ms) / 1_000
  load.p50_ms = sorted[Math.floor(sorted.length * 0.5)] ?? 0
  load.p99_ms = sorted[Math.floor(sorted.length * 0.99)] ?? 0
  process.send?.(load, () => process.exit(0))
}
