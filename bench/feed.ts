// `npm run bench -- feed [--readers 2000] [--events 20]`: how long it takes until every reader of a project's feed has an event,
// and what that costs one server on PostgreSQL.
import { mkdtempSync, rmSync } from 'node:fs'
import { request as send } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realBacktest } from '../test/support/desk.ts'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily, residentMib } from './support/processes.ts'

/** Readers that connect at once. */
const connecting = 50
const pause_ms = 1_000

export const measure: Measurement = async (options) => {
  const readers = option(options, 'readers', 2_000)
  const events = option(options, 'events', 20)
  await using postgres = await startPostgres()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const env = { BERTH_DATABASE_URL: postgres.database_url, BERTH_ROLES: 'api' }
  const server = await startServer(data_dir, await freePort(), env)
  try {
    const pid = server.child.pid ?? 0
    const empty_mib = residentMib(pid)
    const crowd = await openReaders(server, readers)
    const used = () => ({
      at_ms: performance.now(),
      node_s: cpuSeconds(pid),
      postgres_s: cpuSecondsOfFamily(postgres.pid),
    })
    const from = used()
    const [all_ms, each_ms]: [number[], number[]] = [[], []]
    for (let n = 0; n < events; n++) {
      const had = crowd.next()
      const from_ms = performance.now()
      await submit(server)
      const at_ms = (await had).map((at) => at - from_ms)
      each_ms.push(...at_ms)
      all_ms.push(Math.max(...at_ms))
      await new Promise((resolve) => setTimeout(resolve, pause_ms))
    }
    const to = used()
    const taken_s = (to.at_ms - from.at_ms) / 1_000
    crowd.close()
    return {
      figures: {
        readers,
        events,
        everyone_p50_ms: rounded(percentile(all_ms, 0.5)),
        everyone_longest_ms: rounded(percentile(all_ms, 1)),
        reader_p50_ms: rounded(percentile(each_ms, 0.5)),
        events_per_s: rounded((readers * events) / taken_s, 0),
        node_cores: rounded((to.node_s - from.node_s) / taken_s),
        postgres_cores: rounded((to.postgres_s - from.postgres_s) / taken_s, 3),
        kib_per_reader: rounded(((residentMib(pid) - empty_mib) * 1_024) / readers, 1),
      },
      targets: { everyone_longest_ms: { at_most: 1_000 } },
    }
  } finally {
    await server.kill()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

async function submit(server: RunningServer): Promise<void> {
  const headers = { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' }
  const answer = await fetch(`${server.url}/v1/jobs`, {
    method: 'POST',
    headers,
    body: JSON.stringify(realBacktest()),
  })
  if (!answer.ok) throw new Error(`a submit answered ${answer.status}: ${await answer.text()}`)
  await answer.arrayBuffer()
}

/** Streams on connections of their own, all of them open. */
async function openReaders(server: RunningServer, count: number) {
  let heard: (reader: number) => void = () => undefined
  const closing: (() => void)[] = []
  const open = (reader: number) =>
    new Promise<void>((resolve, reject) => {
      const request = send(
        `${server.url}/v1/events?after=latest`,
        { agent: false, headers: { authorization: `Bearer ${server.key}`, accept: 'text/event-stream' } },
        (response) => {
          if (response.statusCode !== 200)
            return reject(new Error(`a stream answered ${response.statusCode}`))
          response.setEncoding('utf8')
          response.on('data', (text: string) => {
            for (const _ of text.matchAll(/^data: /gm)) heard(reader)
          })
          response.on('error', () => undefined)
          resolve()
        },
      )
      request.on('error', reject)
      request.end()
      closing.push(() => request.destroy())
    })
  for (let first = 0; first < count; first += connecting)
    await Promise.all(
      Array.from({ length: Math.min(connecting, count - first) }, (_, index) => open(first + index)),
    )
  return {
    /** When each of them has the next event. */
    next: () =>
      new Promise<number[]>((resolve) => {
        const at_ms = new Map<number, number>()
        heard = (reader) => {
          if (!at_ms.has(reader)) at_ms.set(reader, performance.now())
          if (at_ms.size === count) resolve([...at_ms.values()])
        }
      }),
    close() {
      for (const each of closing) each()
    },
  }
}
