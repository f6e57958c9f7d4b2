// Submits that come at once: written together, answered as if each had been alone.
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import type { JobView } from '../../jobs/view.ts'
import { around } from '../support/around.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const many = 200
type Answer = Partial<JobView> & { status: number; replayed: boolean; retry: string | null; code?: string }

async function submit(
  world: World,
  more: object = {},
  key?: string,
  app: World['app'] = world.app,
): Promise<Answer> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${world.key}`,
    'content-type': 'application/json',
    ...(key === undefined ? {} : { 'idempotency-key': key }),
  }
  const body = JSON.stringify(backtest({ ...more }))
  const answer = await app.request('/v1/jobs', { method: 'POST', headers, body })
  return {
    ...((await answer.json()) as Partial<JobView>),
    status: answer.status,
    replayed: answer.headers.has('idempotent-replayed'),
    retry: answer.headers.get('retry-after'),
  }
}

const times = <Value>(count: number, make: (n: number) => Promise<Value>): Promise<Value[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)))
const statuses = (answers: readonly Answer[]) =>
  Object.fromEntries(
    [...Map.groupBy(answers, ({ status }) => status)].map(([status, group]) => [status, group.length]),
  )

/** Rows of jobs that have a shard and a first event, by name. */
async function stored({ deps: { db } }: World): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from jobs j join shards s on s.job_id = j.id join events e on e.job_id = j.id order by j.id`.execute(
    db,
  )
  return rows.map(({ name }) => name)
}

/** A server whose statements that match fail as often as told: before they are done, or only their answers. */
function failing(world: World, matches: RegExp, times: number, error: Error, when: 'before' | 'after') {
  let left = times
  const db = around(world.deps.db, matches, async (run) => {
    if (left === 0) return run()
    left--
    if (when === 'after') await run()
    throw error
  })
  return createApp({ ...world.deps, db })
}
const fault = (code: string) => Object.assign(new Error('as told'), { code })
const writes = /write new jobs/

describe(`${many} submits at once`, () => {
  test('let in exactly what the queue has room for', async () => {
    await using world = await openTestWorld()
    const answers = await times(many, (n) => submit(world, { name: String(n) }, `k${n}`))
    expect(statuses(answers)).toEqual({ 201: 50, 429: 150 })
    expect(new Set(answers.filter(({ status }) => status === 429).map(({ retry }) => retry))).toEqual(
      new Set(['30']),
    )
    expect(await stored(world)).toHaveLength(50)
    // A key whose request was refused is still free.
    const keys = await world.deps.db.selectFrom('idempotency').select('key').execute()
    expect(keys).toHaveLength(50)
    const first = answers.findIndex(({ status }) => status === 201)
    expect(await submit(world, { name: String(first) }, `k${first}`)).toMatchObject({
      status: 200,
      replayed: true,
      id: answers[first]?.id,
    })
  })

  test('under one budget launch exactly what it pays for', async () => {
    await using world = await openTestWorld()
    world.deps.settings.max_queued = many
    for (const offer of world.model.offers) offer.slots = null
    const body = { scope: 'project', limit_usd: 5 * 0.021 }
    expect((await world.request('PUT', '/v1/budgets', { body })).status).toBe(200)
    expect(statuses(await times(many, () => submit(world)))).toEqual({ 201: many })
    await world.settle(6)
    expect(world.model.machines.size).toBe(5)
    const [budget] = await world.deps.db.selectFrom('budget_periods').selectAll().execute()
    expect(budget).toMatchObject({ reserved_micros: 105_000, spent_micros: 0 })
  })

  test('stand in the queue, and tell of themselves, in the order in which they came', async () => {
    await using world = await openTestWorld()
    world.deps.settings.max_queued = many
    const answers = await times(many, (n) => submit(world, { name: String(n) }))
    const names = answers.map(({ name }) => name)
    expect(await stored(world)).toEqual(names)
    const events = await world.deps.db
      .selectFrom('events')
      .select(['job_id', 'sequence', 'type'])
      .orderBy('id')
      .execute()
    expect(events).toEqual(answers.map(({ id }) => ({ job_id: id, sequence: 1, type: 'job.queued' })))
  })

  test('under one key make one job, and another body under it is refused', async () => {
    await using world = await openTestWorld()
    const [same, other] = await Promise.all([
      times(20, () => submit(world, { name: 'same' }, 'k')),
      times(5, () => submit(world, { name: 'other' }, 'k')),
    ])
    expect(statuses(same)).toEqual({ 200: 19, 201: 1 })
    expect(same.filter(({ replayed }) => replayed)).toHaveLength(19)
    expect(new Set(same.map(({ id }) => id)).size).toBe(1)
    expect(new Set(other.map(({ status, code }) => `${status} ${code}`))).toEqual(
      new Set(['422 idempotency_key_reused']),
    )
    expect(await stored(world)).toEqual(['same'])
  })
})

test('a submit that is answered is what a later read of it says', async () => {
  await using world = await openTestWorld()
  const spec = { name: 'one', labels: { desk: 'alpha' }, budget_usd: 3, resources: { cpu: 1 } }
  const { status, replayed, retry, ...answered } = await submit(world, spec)
  expect([status, replayed, retry]).toEqual([201, false, null])
  const read = await world.request('GET', `/v1/jobs/${answered.id}`)
  expect(await read.json()).toEqual(answered)
})

describe('a batch with one that cannot be', () => {
  test('stored is answered for each', async () => {
    await using world = await openTestWorld()
    const answers = await times(9, (n) =>
      submit(world, n === 4 ? { strict: true, resources: { cpu: 1_000 } } : { name: String(n) }),
    )
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 422, 201, 201, 201, 201])
    expect(await stored(world)).toHaveLength(8)
  })

  test('written fails that one alone', async () => {
    await using world = await openTestWorld()
    const { db } = world.deps
    await sql`create function refuse() returns trigger language plpgsql
      as 'begin raise exception ''not this one''; end'`.execute(db)
    await sql`create trigger refuse before insert on jobs for each row when (new.name = '4')
      execute function refuse()`.execute(db)
    try {
      const answers = await times(9, (n) => submit(world, { name: String(n) }, `k${n}`))
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 500, 201, 201, 201, 201])
      expect(await stored(world)).toEqual(['0', '1', '2', '3', '5', '6', '7', '8'])
    } finally {
      await sql`drop function refuse cascade`.execute(db)
    }
    expect((await submit(world, { name: '4' }, 'k4')).status).toBe(201)
  })
})

describe('a database that', () => {
  test.for([
    ['loses the connection before the batch is stored', 'ECONNRESET', 'before'],
    ['loses the answer after it', 'ECONNRESET', 'after'],
    ['finds a deadlock', '40P01', 'before'],
    ['cannot serialize', '40001', 'before'],
  ] as const)('%s stores each job once, and each is answered', async ([, code, when]) => {
    await using world = await openTestWorld()
    const app = failing(world, writes, 1, fault(code), when)
    const answers = await times(12, (n) =>
      submit(world, { name: String(n) }, n % 2 === 0 ? `k${n}` : undefined, app),
    )
    expect(statuses(answers)).toEqual({ 201: 12 })
    expect(answers.some(({ replayed }) => replayed)).toBe(false)
    const names = answers.map(({ name }) => name)
    const rows = await stored(world)
    expect(rows).toHaveLength(names.length)
    expect(new Set(rows)).toEqual(new Set(names))
    expect(await submit(world, { name: '0' }, 'k0', app)).toMatchObject({ status: 200, id: answers[0]?.id })
  })

  test.for([
    ['is away', 'ECONNREFUSED', 3],
    ['does not answer in time', '57014', 100],
  ] as const)('%s is told as such, and nothing is stored or let in', async ([, code, most]) => {
    await using world = await openTestWorld()
    const app = failing(world, writes, most, fault(code), 'before')
    const answers = await times(12, (n) => submit(world, { name: String(n) }, `k${n}`, app))
    const busy = answers.filter(({ status }) => status === 503)
    expect(busy).not.toEqual([])
    expect(new Set(busy.map(({ code: said, retry }) => `${said} ${retry}`))).toEqual(new Set(['busy 1']))
    const after = await times(12, (n) => submit(world, { name: String(n) }, `k${n}`))
    expect(after.every(({ status }) => status === 200 || status === 201)).toBe(true)
    expect(await stored(world)).toHaveLength(12)
    expect(world.logged.every(({ level }) => level === 'warn')).toBe(true)
  })
})
