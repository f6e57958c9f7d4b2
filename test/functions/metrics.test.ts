// What Prometheus scrapes: figures of work that was really done, by bounded labels.
import { getRequestListener } from '@hono/node-server'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function scrape(world: World): Promise<Map<string, number>> {
  const answer = await world.request('GET', '/metrics')
  expect(answer.status).toBe(200)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))] as const
    }),
  )
}

test('jobs, launches, waits, spend and requests are counted', async () => {
  await using world = await openTestWorld()
  for (let n = 0; n < 3; n++) await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.request('GET', '/v1/jobs/job_made_up_by_a_client')
  await world.request('GET', '/made/up')
  await world.settle()
  const found = await scrape(world)
  const place = 'provider="model",account="main",kind="backtest"'
  expect(found.get(`berth_launches_total{${place}}`)).toBe(2)
  expect(found.get('berth_queue_length{kind="backtest",priority="normal"}')).toBe(1)
  expect(found.get('berth_queue_wait_seconds_count{kind="backtest"}')).toBe(2)
  expect(found.get(`berth_attempts{${place},state="starting"}`)).toBe(2)
  expect(found.get(`berth_spend_usd_per_hour{${place},state="starting"}`)).toBeCloseTo(0.72)
  expect(found.get('berth_orphans')).toBe(0)
  expect(found.get('berth_database_up')).toBe(1)
  const requests = (route: string, method: string, status: number) =>
    found.get(`berth_http_request_seconds_count{method="${method}",route="${route}",status="${status}"}`)
  expect(requests('/v1/jobs', 'POST', 201)).toBe(3)
  expect(requests('/v1/jobs/:id', 'GET', 404)).toBe(1)
  expect(requests('none', 'GET', 404)).toBe(1)
  expect([...found.keys()].join()).not.toMatch(/job_|att_|made/)
})

test('what is over is counted by what became of it, and is no gauge any more', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.settle()
  // An exit without a report is waited for, and tried anew.
  for (let minute = 0; minute < 10; minute++) {
    for (const machine of world.model.machines.values())
      machine.seen = { state: 'exited', exit_code: 1, detail: null }
    world.advance(60)
    await world.settle()
  }
  const found = await scrape(world)
  const total = (name: string) =>
    [...found].reduce((sum, [key, value]) => sum + (key.startsWith(`${name}{`) ? value : 0), 0)
  const tries = total('berth_launches_total')
  expect(tries).toBeGreaterThan(1)
  expect(total('berth_attempts_concluded_total')).toBe(tries)
  expect(total('berth_retries_total')).toBe(tries - 1)
  expect(total('berth_shards_finished_total')).toBe(1)
  expect(total('berth_attempts')).toBe(0)
  expect(total('berth_queue_length')).toBe(0)
})

test('this machine needs no key, and a proxy on it does', async () => {
  await using world = await openTestWorld()
  const server = createServer(getRequestListener(world.app.fetch))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`
  try {
    expect((await fetch(url)).status).toBe(200)
    expect((await fetch(url, { headers: { 'x-forwarded-for': '203.0.113.9' } })).status).toBe(401)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})
