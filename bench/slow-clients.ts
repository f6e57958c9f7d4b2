// `npm run bench -- slow-clients [--clients 2000] [--seconds 20]`: what others wait for while so many clients have begun a request, send a
// byte a second, and never end it; a third with half of their headers, a third with half of a log-in, a third with a key and half of a job.
import { setTimeout as sleep } from 'node:timers/promises'
import { openDesk } from '../test/support/desk.ts'
import { openSlowClients } from '../test/support/slow-clients.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'

/** Others who ask at a time, as a desk's programs do. */
const others = 8
/** The server has compiled what it serves with by then. */
const warm_s = 5

export const measure: Measurement = async (options) => {
  const clients = option(options, 'clients', 2_000)
  const seconds = option(options, 'seconds', 20)
  await using desk = await openDesk()
  const { url, key } = desk.server()
  await load(desk.request, warm_s)
  const alone = await load(desk.request, seconds)
  using slow = await openSlowClients(url, key, clients)
  const ended = new AbortController()
  const dripping = (async () => {
    while (!ended.signal.aborted) {
      slow.drip()
      await sleep(1_000)
    }
  })()
  const beside = await load(desk.request, seconds)
  const left = slow.open()
  ended.abort()
  await dripping
  const p99 = (samples: readonly number[]) => percentile(samples, 0.99)
  const figures = {
    clients,
    still_open: left,
    alone_requests: alone.waits_ms.length,
    alone_p50_ms: rounded(percentile(alone.waits_ms, 0.5)),
    alone_p99_ms: rounded(p99(alone.waits_ms)),
    beside_requests: beside.waits_ms.length,
    beside_p50_ms: rounded(percentile(beside.waits_ms, 0.5)),
    beside_p99_ms: rounded(p99(beside.waits_ms)),
    p99_ratio: rounded(p99(beside.waits_ms) / p99(alone.waits_ms)),
    failed: alone.failed + beside.failed,
  }
  return { figures, targets: { p99_ratio: { at_most: 3 }, failed: { at_most: 0 } } }
}

type Request = (path: string) => Promise<Response>

async function load(request: Request, seconds: number) {
  const until_ms = performance.now() + seconds * 1_000
  const waits_ms: number[] = []
  let failed = 0
  const one = async () => {
    while (performance.now() < until_ms) {
      const from_ms = performance.now()
      const answer = await request('/v1/jobs?limit=20')
      await answer.text()
      waits_ms.push(performance.now() - from_ms)
      if (!answer.ok) failed++
    }
  }
  await Promise.all(Array.from({ length: others }, one))
  return { waits_ms, failed }
}
