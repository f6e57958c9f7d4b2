// Every filter of the list of jobs, against all jobs filtered one by one; and how PostgreSQL finds them, and what else is looked for
// among all there ever was.
import { type RawBuilder, sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobRow } from '../../jobs/plan.ts'
import { filterOf } from '../../jobs/read.ts'
import { jobStates } from '../../jobs/state.ts'
import { lookQuery } from '../../jobs/store/claim.ts'
import { findQuery } from '../../jobs/store/find.ts'
import { historiesQuery, readHistories } from '../../jobs/store/open.ts'
import type { JobView } from '../../jobs/view.ts'
import { isPostgres } from '../support/database.ts'
import { fillJobs, needle, providers } from '../support/many-jobs.ts'
import { openTestWorld, type World } from '../support/world.ts'

/** Enough for the planner of PostgreSQL to tell a scan from a probe. */
const size = isPostgres ? 50_000 : 2_000
let world: World
let jobs: JobRow[] = []

beforeAll(async () => {
  world = await openTestWorld()
  const { deps, project_id } = world
  await fillJobs(deps.db, { project_id, jobs: size, now: deps.clock.now() })
  const second = await world.secondProject()
  await fillJobs(deps.db, { project_id: second.id, jobs: 500, now: deps.clock.now() })
  await sql`analyze`.execute(deps.db)
  jobs = await deps.db.selectFrom('jobs').selectAll().where('project_id', '=', project_id).execute()
  jobs.sort((a, b) => (a.id < b.id ? 1 : -1))
})
afterAll(() => world[Symbol.asyncDispose]())

const day_ms = 86_400_000
type Query = Record<string, string>
const values: Record<string, (at: (days: number) => string) => Query[]> = {
  state: () => jobStates.map((state) => ({ state })),
  kind: () => [{ kind: 'backtest' }, { kind: 'mining' }],
  label: () =>
    ['desk:desk-1', 'strategy:strategy-7', `${needle.name}:${needle.value}`, 'desk:none'].map((label) => ({
      label,
    })),
  provider: () => [...providers, 'none'].map((provider) => ({ provider })),
  created_after: (at) => [{ created_after: at(30) }, { created_after: at(-1) }],
  created_before: (at) => [{ created_before: at(60) }, { created_before: at(91) }],
}
const names = Object.keys(values)
const pairs = names.flatMap((a, index) => names.slice(index).map((b) => [a, b] as const))

/** Filters that have a value of both names; of one of them where they are the same. */
function filtersOf([a, b]: readonly [string, string]): Query[] {
  const at = (days: number) => new Date(world.deps.clock.now().getTime() - days * day_ms).toISOString()
  const of = (name: string): Query[] => values[name]?.(at) ?? []
  if (a === b) return of(a)
  return of(a).flatMap((first) => of(b).map((second) => ({ ...first, ...second })))
}

function matches(job: JobRow, filter: Query): boolean {
  const { state = job.state, kind = job.kind, label, provider, created_after, created_before } = filter
  const [name = '', value] = label?.split(':') ?? []
  return (
    job.state === state &&
    job.kind === kind &&
    (label === undefined || job.labels[name] === value) &&
    (provider === undefined || job.providers.includes(provider)) &&
    (created_after === undefined || job.created_at > new Date(created_after)) &&
    (created_before === undefined || job.created_at < new Date(created_before))
  )
}

async function page(filter: Query, limit: number, cursor?: string) {
  const query = new URLSearchParams({ ...filter, limit: String(limit), ...(cursor ? { cursor } : {}) })
  const answer = await world.request('GET', `/v1/jobs?${query.toString()}`)
  return (await answer.json()) as { items: JobView[]; next_cursor: string | null }
}

test.for(pairs)('pages by %s and %s are the newest jobs that match', async (pair) => {
  for (const filter of filtersOf(pair)) {
    const expected = jobs.filter((job) => matches(job, filter)).map(({ id }) => id)
    const first = await page(filter, 20)
    expect(first.items.map(({ id }) => id)).toEqual(expected.slice(0, 20))
    const cursor = expected[24]
    if (cursor === undefined) continue
    expect(first.next_cursor).toBe(expected[19])
    const later = await page(filter, 20, cursor)
    expect(later.items.map(({ id }) => id)).toEqual(expected.slice(25, 45))
    expect(later.next_cursor).toBe(expected.length > 45 ? (expected[44] ?? '') : null)
  }
})

test('a list shows the last five attempts, and what all of them cost', async () => {
  const { items } = await page({ label: 'strategy:strategy-7', state: 'succeeded' }, 20)
  const sweep = items.find(({ shards }) => shards.total === 8)
  const whole = (await (await world.request('GET', `/v1/jobs/${sweep?.id}`)).json()) as JobView
  expect(whole.attempts).toHaveLength(8)
  expect(sweep?.attempts).toEqual(whole.attempts.slice(-5))
  expect(sweep?.cost).toEqual(whole.cost)
  expect(sweep?.result).toEqual(whole.result)
})

test('a list leaves out what is long', async () => {
  const [{ id } = { id: '' }] = (await page({ state: 'succeeded' }, 1)).items
  const long = JSON.stringify({ rows: 'x'.repeat(5_000) })
  await world.deps.db.updateTable('jobs').set({ result: long }).where('id', '=', id).execute()
  expect((await page({ state: 'succeeded' }, 1)).items).toMatchObject([{ id, result: null }])
  expect(await (await world.request('GET', `/v1/jobs/${id}`)).json()).toMatchObject({
    result: JSON.parse(long),
  })
})

describe.skipIf(!isPostgres)('on PostgreSQL', () => {
  test.for(pairs)('a page by %s and %s is read from an index, and little more than it', async (pair) => {
    for (const filter of filtersOf(pair)) {
      const scans = await scansOf(findQuery(world.project_id, filterOf(filter), { limit: 101 }).query)
      const said = `${JSON.stringify(filter)}: ${JSON.stringify(scans)}`
      expect(
        scans.filter(({ node }) => node === 'Seq Scan'),
        said,
      ).toEqual([])
      // A page from each stream, or all that are placed.
      expect(
        scans.reduce((sum, { rows }) => sum + rows, 0),
        said,
      ).toBeLessThan(1_000)
    }
  })

  test('how long work took is read of its own attempts, however rare and old they are', async () => {
    const { deps, project_id } = world
    const { id } = await deps.db
      .selectFrom('attempts')
      .select('id')
      .where('project_id', '=', project_id)
      .where('outcome', '=', 'succeeded')
      .orderBy('id')
      .limit(1)
      .executeTakeFirstOrThrow()
    await deps.db.updateTable('attempts').set({ signature: 'rare' }).where('id', '=', id).execute()
    const asked = ['rare', 'never seen'].map((signature) => ({ project_id, signature }))
    const scans = await scansOf(historiesQuery(asked))
    const [own] = scans.filter(({ table }) => table === 'attempts')
    expect(own, JSON.stringify(scans)).toMatchObject({ rows: 1 })
    expect([...(await readHistories(deps.db, asked)).keys()]).toEqual([`${project_id}/rare`])
  })

  test('whether something is due is read of an index, also when much was due at the last count', async () => {
    const { db, clock } = world.deps
    const now = clock.now()
    await sql`update shards set due_at = ${now}`.execute(db)
    await sql`analyze shards`.execute(db)
    const due = await scansOf(lookQuery(now))
    await sql`update shards set due_at = null`.execute(db)
    const quiet = await scansOf(lookQuery(now))
    for (const scans of [due, quiet])
      expect(
        scans.filter(({ node, table }) => node === 'Seq Scan' && table === 'shards'),
        JSON.stringify(scans),
      ).toEqual([])
  })
})

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

/** How each table is read, and how many of its rows. */
async function scansOf(query: RawBuilder<unknown>) {
  const { rows } = await sql<{
    'QUERY PLAN': [{ Plan: Plan }]
  }>`explain (analyze, format json) ${query}`.execute(world.deps.db)
  const nodes = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodes)]
  return nodes(rows[0]?.['QUERY PLAN'][0].Plan as Plan)
    .filter((plan) => plan['Relation Name'] !== undefined)
    .map((plan) => ({
      node: plan['Node Type'],
      table: plan['Relation Name'],
      rows: (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'],
    }))
}
