import { type KyselyPlugin, sql } from 'kysely'
import { describe, expect, test, vi } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import type { Waker } from '../../jobs/deps.ts'
import { dropOldPartitions } from '../../jobs/retention.ts'
import { quarantine } from '../../jobs/restore.ts'
import { appendEvents, eventRow, renumberFeed } from '../../jobs/store/events.ts'
import type { FeedEvent } from '../../jobs/feed.ts'
import type { Tx } from '../../jobs/store/schema.ts'
import { isPostgres } from '../support/database.ts'
import { patience_ms } from '../support/patience.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

interface Page {
  items: FeedEvent[]
  next_cursor: string | null
}

async function feed(world: World, query: Record<string, string> = {}, key = world.key): Promise<Page> {
  await othersOver(world)
  const path = `/v1/events?${new URLSearchParams(query).toString()}`
  const answer = await world.request('GET', path, { key })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Page
}

async function submit(world: World, key = world.key): Promise<string> {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(), key })
  const { id } = (await answer.json()) as { id: string }
  await othersOver(world)
  return id
}

/**
 * The feed shows what is older than every transaction that runs on the server, in other databases too: waits for those of
 * the tests beside this one that are older than what was written until now. Those of this test's own are not waited for.
 */
async function othersOver({ deps: { db } }: World): Promise<void> {
  if (!isPostgres) return
  const running = async () =>
    (
      await sql<{ xid: string }>`select backend_xid::text as xid from pg_stat_activity
        where backend_xid is not null and datname <> current_database()`.execute(db)
    ).rows.map(({ xid }) => xid)
  const before = new Set(await running())
  await vi.waitFor(async () => expect((await running()).filter((xid) => before.has(xid))).toEqual([]), {
    timeout: patience_ms,
  })
}

/** Submits jobs and cancels them: two events each. */
async function cancelled(world: World, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await submit(world))
  for (const id of ids) await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.pass()
  await othersOver(world)
  return ids
}

const told = ({ items }: Page) => items.map(({ job_id, sequence }) => `${job_id}/${sequence}`)

test('a project reads each of its events once, page after page, and none of another’s', async () => {
  await using world = await openTestWorld()
  const second = await world.secondProject()
  const ids = await cancelled(world, 3)
  const theirs = await submit(world, second.key)
  const whole = await feed(world)
  expect(whole.next_cursor).toBeNull()
  expect(told(whole).toSorted()).toEqual(ids.flatMap((id) => [`${id}/1`, `${id}/2`]).toSorted())
  expect(whole.items[0]).toMatchObject({ job_id: ids[0], sequence: 1, type: 'job.queued' })
  const pages: string[] = []
  for (let after: string | null = null, more = true; more;) {
    const page: Page = await feed(world, { limit: '2', ...(after === null ? {} : { after }) })
    pages.push(...told(page))
    after = page.next_cursor
    more = after !== null
  }
  expect(pages).toEqual(told(whole))
  expect(told(await feed(world, {}, second.key))).toEqual([`${theirs}/1`])
})

test('a client goes on after the last event that it has, or with what is to come', async () => {
  await using world = await openTestWorld()
  await cancelled(world, 1)
  const last = (await feed(world)).items.at(-1)?.id ?? ''
  const now = (await feed(world, { after: 'latest' })).next_cursor ?? ''
  expect(await feed(world, { after: last })).toEqual({ items: [], next_cursor: null })
  expect(await feed(world, { after: now })).toEqual({ items: [], next_cursor: null })
  const id = await submit(world)
  expect(told(await feed(world, { after: last }))).toEqual([`${id}/1`])
  expect(told(await feed(world, { after: now }))).toEqual([`${id}/1`])
})

test.for(['x', '1-2', '0-1-2-3', '-1-1-1', '0-99999999999999999-1', "0-1-1'"])(
  'the place %s is refused',
  async (after) => {
    await using world = await openTestWorld()
    const answer = await world.request('GET', `/v1/events?after=${encodeURIComponent(after)}`)
    expect([answer.status, await answer.json()]).toMatchObject([422, { code: 'invalid_cursor' }])
  },
)

describe('a place from which events may be missed is refused with what to do', () => {
  const refused = async (world: World, after: string) => {
    const page = await world.request('GET', `/v1/events?after=${after}`)
    expect([page.status, await page.json()]).toMatchObject([
      410,
      { code: 'cursor_expired', detail: expect.stringContaining('Leave the cursor out') },
    ])
    const headers = { accept: 'text/event-stream', 'last-event-id': after }
    expect((await world.request('GET', '/v1/events', { headers })).status).toBe(410)
  }

  test('when its month has been dropped; a later place, and the oldest, are not', async () => {
    await using world = await openTestWorld()
    const ids = await cancelled(world, 2)
    const all = (await feed(world)).items
    world.advance(120 * 86_400)
    await world.deps.db.transaction().execute(async (tx) => {
      await sql`create table events_2020_01 partition of events
        for values from ('2020-01-01Z') to ('2020-02-01Z')`.execute(tx)
      await moveToPartition(tx, ids[0] ?? '')
      await dropOldPartitions(tx, new Date('2021-01-01Z'), new Date(0))
    })
    await refused(world, all[0]?.id ?? '')
    expect(told(await feed(world, { after: all.at(-1)?.id ?? '' }))).toEqual([])
    expect(told(await feed(world))).toEqual([`${ids[1]}/1`, `${ids[1]}/2`])
  })

  test('when the database was restored from a copy', async () => {
    await using world = await openTestWorld()
    await cancelled(world, 1)
    const last = (await feed(world)).items.at(-1)?.id ?? ''
    await quarantine(world.deps)
    await refused(world, last)
    expect((await feed(world)).items).toHaveLength(2)
  })

  test('when the database is younger than it', async () => {
    await using world = await openTestWorld()
    await refused(world, '0-999999999999-1')
  })
})

/** Events of a job as they would be had it been made years ago. */
async function moveToPartition(tx: Tx, job_id: string): Promise<void> {
  await sql`update events set partition_at = '2020-01-15Z' where job_id = ${job_id}`.execute(tx)
}

test('events of a database whose transactions begin anew are shown, in their order', async () => {
  await using world = await openTestWorld()
  await cancelled(world, 2)
  const before = told(await feed(world))
  expect(await renumberFeed(world.deps.db)).toBe(false)
  await sql`update events set xid = (xid::text::bigint + 1000000)::text::xid8`.execute(world.deps.db)
  expect((await feed(world)).items).toEqual([])
  expect(await renumberFeed(world.deps.db)).toBe(true)
  expect(told(await feed(world))).toEqual(before)
})

describe('a stream', () => {
  const open = async (
    world: World,
    headers: Record<string, string> = {},
    query = '',
    app: World['app'] = world.app,
  ) => {
    const answer = await app.request(`/v1/events${query}`, {
      headers: { authorization: `Bearer ${world.key}`, accept: 'text/event-stream', ...headers },
    })
    expect(answer.status).toBe(200)
    const reader = answer.body?.getReader()
    let text = ''
    return {
      /** What has come once it holds `count` events; all of it when it has ended. */
      async read(count: number): Promise<FeedEvent[]> {
        const found = () =>
          [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1] ?? '') as FeedEvent)
        while (found().length < count) {
          const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
          if (done) break
          text += new TextDecoder().decode(value)
        }
        return found()
      },
      close: () => reader?.cancel(),
    }
  }

  test('has what there is and then what comes, resumes, and ends in bounded time', async () => {
    await using world = await openTestWorld()
    const ids = await cancelled(world, 1)
    const stream = await open(world)
    expect((await stream.read(2)).map(({ sequence }) => sequence)).toEqual([1, 2])
    ids.push(await submit(world))
    const three = await stream.read(3)
    expect(three.at(-1)).toMatchObject({ job_id: ids[1], type: 'job.queued' })
    const resumed = await open(world, { 'last-event-id': three[0]?.id ?? '' })
    expect(await resumed.read(2)).toEqual(three.slice(1))
    world.advance(2)
    expect(await stream.read(4)).toEqual(three)
    expect(await resumed.read(3)).toEqual(three.slice(1))
  })

  test('whose key is revoked ends', async () => {
    await using world = await openTestWorld()
    world.deps.settings.sse_max_s = 300
    const made = await world.request('POST', '/v1/keys', { body: { name: 'other', role: 'viewer' } })
    const { id, key } = (await made.json()) as { id: string; key: string }
    const stream = await open(world, { authorization: `Bearer ${key}` })
    await submit(world)
    expect(await stream.read(1)).toHaveLength(1)
    expect((await world.request('DELETE', `/v1/keys/${id}`)).status).toBe(204)
    world.advance(10)
    await submit(world)
    expect(await stream.read(2)).toHaveLength(1)
  })

  /** As long as a write may take. */
  const stalled_ms = 120_000
  /** The greeting goes into a buffer, and the first event waits for its reader. */
  const untaken = 2

  test('of who takes nothing is given up', async () => {
    await using world = await openTestWorld()
    for (let n = 0; n < 3; n++) await submit(world)
    const { setTimeout: later } = globalThis
    const bounds: (() => void)[] = []
    const timers = vi.spyOn(globalThis, 'setTimeout').mockImplementation((act, ms, ...given) => {
      if (ms === stalled_ms) bounds.push(act as () => void)
      return later(act, ms, ...given)
    })
    try {
      const stream = await open(world)
      await vi.waitFor(() => expect(bounds).toHaveLength(untaken), { timeout: patience_ms })
      bounds.at(-1)?.()
      expect((await stream.read(3)).length).toBeLessThan(3)
    } finally {
      timers.mockRestore()
    }
  })

  test('after the newest event waits, also beside one of what is to come', async () => {
    await using world = await openTestWorld()
    await cancelled(world, 1)
    const last = (await feed(world)).items.at(-1)?.id ?? ''
    const { app, waits, isOver } = watched(world)
    const ahead = await open(world, {}, '?after=latest', app)
    await vi.waitFor(() => expect(waits()).toBe(1))
    const resumed = await open(world, { 'last-event-id': last }, '', app)
    await vi.waitFor(() => expect(isOver() || waits() > 1).toBe(true), { timeout: patience_ms, interval: 1 })
    expect(isOver()).toBe(false)
    const id = await submit(world)
    for (const stream of [ahead, resumed]) {
      expect(told({ items: await stream.read(1), next_cursor: null })).toEqual([`${id}/1`])
      await stream.close()
    }
  })

  test('of what is to come, for several at once, tells each of everything', async () => {
    await using world = await openTestWorld()
    await cancelled(world, 1)
    const streams = await Promise.all([1, 2, 3].map(() => open(world, {}, '?after=latest')))
    const ids = await cancelled(world, 2)
    const wanted = ids.flatMap((id) => [`${id}/1`, `${id}/2`]).toSorted()
    for (const stream of streams) {
      const items = await stream.read(4)
      expect(told({ items, next_cursor: null }).toSorted()).toEqual(wanted)
      await stream.close()
    }
  })
})

/** The app, and how often it has read the feed and has waited for more; who never waits is refused after so many reads. */
function watched({ deps }: World, most = 200) {
  let [reads, waits] = [0, 0]
  const counting: KyselyPlugin = {
    transformQuery({ node }) {
      if (JSON.stringify(node).includes('read feed') && ++reads > most) throw new Error('too many reads')
      return node
    },
    transformResult: ({ result }) => Promise.resolve(result),
  }
  const waker: Waker = {
    wake: deps.waker.wake,
    wait(topic, ...given) {
      if (topic.startsWith('feed:')) waits++
      return deps.waker.wait(topic, ...given)
    },
  }
  const app = createApp({ ...deps, waker, db: deps.db.withPlugin(counting) })
  return { app, waits: () => waits, isOver: () => reads >= most }
}

describe.skipIf(!isPostgres)('of two transactions', () => {
  const job = async (world: World) => {
    const id = await submit(world)
    return world.deps.db.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  }
  const event = (of: Parameters<typeof eventRow>[0], sequence: number, at: Date) =>
    eventRow(of, { sequence, type: 'job.retrying', at, data: {} })

  test('the earlier that is committed later is not passed over', async () => {
    await using world = await openTestWorld()
    const { db, clock } = world.deps
    const [one, two] = [await job(world), await job(world)]
    const after = (await feed(world)).items.at(-1)?.id ?? ''
    const early = await db.startTransaction().execute()
    const late = await db.startTransaction().execute()
    await appendEvents(early, [event(one, 2, clock.now())])
    await appendEvents(late, [event(two, 2, clock.now())])
    await late.commit().execute()
    // Who reads by the number alone goes on after the later one now, and never sees the earlier.
    const numbers = async () =>
      (await db.selectFrom('events').select('id').orderBy('id').execute()).map(({ id }) => id)
    const newest = (await numbers()).at(-1) ?? 0
    expect(await feed(world, { after })).toEqual({ items: [], next_cursor: null })
    await early.commit().execute()
    expect(told(await feed(world, { after }))).toEqual([`${one.id}/2`, `${two.id}/2`])
    expect((await numbers()).at(-1)).toBe(newest)
  })

  test('that write to one job, the feed has the events in the order of the job', async () => {
    await using world = await openTestWorld()
    const { db, clock } = world.deps
    const [one, other] = [await job(world), await job(world)]
    const after = (await feed(world)).items.at(-1)?.id ?? ''
    // The first to begin is the last to have the job's lock.
    const first = await db.startTransaction().execute()
    await appendEvents(first, [event(other, 2, clock.now())])
    const second = await db.startTransaction().execute()
    await appendEvents(second, [event(one, 2, clock.now())])
    await second.commit().execute()
    await appendEvents(first, [event(one, 3, clock.now())])
    await first.commit().execute()
    expect(told(await feed(world, { after }))).toEqual([`${other.id}/2`, `${one.id}/2`, `${one.id}/3`])
  })

  test('a follower is told of the held one as soon as it is free', async () => {
    await using world = await openTestWorld()
    const { db, clock } = world.deps
    const [one, two] = [await job(world), await job(world)]
    const answer = await world.request('GET', '/v1/events?after=latest', {
      headers: { accept: 'text/event-stream' },
    })
    const reader = answer.body?.getReader()
    const early = await db.startTransaction().execute()
    const late = await db.startTransaction().execute()
    await appendEvents(early, [event(one, 2, clock.now())])
    await appendEvents(late, [event(two, 2, clock.now())])
    await late.commit().execute()
    await early.commit().execute()
    let text = ''
    while (!text.includes(two.id)) text += new TextDecoder().decode((await reader?.read())?.value)
    expect(text.indexOf(one.id)).toBeLessThan(text.indexOf(two.id))
    expect(text).toContain(one.id)
    await reader?.cancel()
  })
})
