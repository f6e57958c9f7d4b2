import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import type { DeliveryView } from '../../jobs/deliveries.ts'
import type { FeedEvent } from '../../jobs/feed.ts'
import { isPostgres } from '../support/database.ts'
import { realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

const kills = 5

/** Holds the first attempt of every message and never answers it; the next it takes. */
async function openHolder() {
  const held = new Map<string, ServerResponse>()
  const taken = new Map<string, { headers: Record<string, string>; body: string }>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const headers = request.headers as Record<string, string>
      const id = headers['webhook-id'] ?? ''
      if (!held.has(id)) return void held.set(id, response)
      taken.set(id, { headers, body: Buffer.concat(chunks).toString() })
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    held,
    taken,
    [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      return Promise.resolve()
    },
  }
}

// The database of these servers is the embedded one in either run; once is enough.
describe.skipIf(isPostgres)('kill -9 of the server between the claim of messages and their answers', () => {
  test(`${kills} times: every event arrives, signed, under the id it was written with`, async () => {
    await using holder = await openHolder()
    await using desk = await openMigratedDesk()
    const made = await desk.request('/v1/webhooks', {
      method: 'POST',
      body: JSON.stringify({ url: holder.url, events: ['job.queued'] }),
    })
    const { id, secret } = (await made.json()) as { id: string; secret: string }
    const jobs: string[] = []
    for (let kill = 0; kill < kills; kill++) {
      for (let n = 0; n < 3; n++) jobs.push((await desk.submit(realBacktest())).id)
      const before = holder.held.size
      await desk.until(() => holder.held.size > before || holder.taken.size === jobs.length)
      await desk.restart()
    }
    await desk.until(() => holder.taken.size === jobs.length)
    const path = `/v1/webhooks/${id}/deliveries?limit=500`
    const list = async () => (await desk.get<{ items: DeliveryView[] }>(path)).items
    await desk.until(async () => (await list()).every(({ state }) => state === 'delivered'))
    const deliveries = await list()
    const feed = await desk.get<{ items: FeedEvent[] }>('/v1/events?limit=500')
    const queued = feed.items.filter(({ type }) => type === 'job.queued').map(({ job_id }) => job_id)
    expect(queued).toEqual(jobs)
    expect(deliveries.map(({ job_id }) => job_id).toReversed()).toEqual(jobs)
    for (const delivery of deliveries) {
      const { body, headers } = holder.taken.get(delivery.id) ?? { body: '', headers: {} }
      expect(new Webhook(secret).verify(body, headers)).toMatchObject({
        type: 'job.queued',
        data: { job: { id: delivery.job_id } },
      })
    }
  })
})
