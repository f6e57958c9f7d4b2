// Logs: without secrets, bounded with a mark of what is missing, and searched on the server.
import { type KyselyPlugin, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { masked } from '../../jobs/mask.ts'
import { dropOldPartitions } from '../../jobs/retention.ts'
import { ensurePartitions } from '../../jobs/store/fold.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

interface Line {
  number: number
  stream: string
  text: string
}
interface Page {
  items: Line[]
  next_cursor: string | null
}

/** A job at work, and its runner's voice. */
async function open(world: World) {
  const { id } = (await (await world.request('POST', '/v1/jobs', { body: backtest() })).json()) as {
    id: string
  }
  await world.settle(3)
  const [attempt, machine] = [...world.model.machines].at(-1) ?? []
  const key = machine?.token ?? ''
  await world.request('POST', `/v1/attempts/${attempt}/report`, {
    key,
    body: { type: 'started', instance: 'one' },
  })
  const page = async (query = ''): Promise<Page> =>
    (await (await world.request('GET', `/v1/jobs/${id}/logs?${query}`)).json()) as Page
  const send = async (app: World['app'], number: number, text: string) => {
    const body = JSON.stringify({ number, at: '2026-03-02T09:00:01Z', stream: 'stdout', text })
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const answer = await app.request(`/v1/attempts/${attempt}/logs`, { method: 'POST', headers, body })
    expect(answer.status).toBe(200)
  }
  return {
    page,
    say: (number: number, text: string) => send(world.app, number, text),
    send,
    async all(query = ''): Promise<Line[]> {
      const lines: Line[] = []
      let cursor = ''
      for (let pages = 0; pages < 2_000; pages++) {
        const { items, next_cursor } = await page(`${query}&cursor=${cursor}`)
        lines.push(...items)
        if (next_cursor === null) return lines
        cursor = next_cursor
      }
      throw new Error('the log has no end')
    },
  }
}

describe('a secret that a program prints', () => {
  test.for([
    ['key AKIAIOSFODNN7EXAMPLE in use', 'key [masked] in use'],
    ['bootstrap brb_shd_01jd3m4k5nep7r8r9s0t1v2w3x.bm9uY2U.c2lnbmF0dXJl', 'bootstrap [masked]'],
    ['export AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG', 'export AWS_SECRET_ACCESS_KEY=[masked]'],
    ['LTAI5tExampleExampleExam', '[masked]'],
    ['Authorization: Bearer abc.def-ghi_jkl==', 'Authorization: Bearer [masked]'],
    ['postgres://user:hunter2@db/prices', 'postgres://user:[masked]@db/prices'],
    ['{"api_key": "0123456789abcdef", "user": "me"}', '{"api_key": "[masked]", "user": "me"}'],
    ['password = s3cret!; next', 'password = [masked]; next'],
    [`token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl done`, 'token [masked] done'],
    [`ghp_${'a'.repeat(36)}`, '[masked]'],
    [`berth_0123456789ab_${'x'.repeat(43)}`, '[masked]'],
    ['-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nafter', '[masked]\nafter'],
  ])('is not stored: %s', ([text, expected]) => {
    expect(masked(text as string)).toBe(expected)
  })

  test.for([
    'data: 6 symbols, 2516 bars; 214 parameter sets, 16 skipped',
    'token bucket refilled, basic statistics follow: mean 0.4',
    'https://example.com/prices.parquet?key=date',
    'secretary of the treasury: yields up',
    'the keyboard: interrupted',
  ])('is not seen in what is none: %s', (text) => {
    expect(masked(text)).toBe(text)
  })

  test('is masked before it is stored, in a log and in the error that shows its end', async () => {
    await using world = await openTestWorld()
    const { say, page } = await open(world)
    await say(1, 'connecting with password=hunter22\n')
    expect((await page()).items.map(({ text }) => text)).toEqual(['connecting with password=[masked]\n'])
    const rows = await world.deps.db.selectFrom('log_chunks').select('text').execute()
    expect(JSON.stringify(rows)).not.toContain('hunter22')
  })

  test('takes time that grows with the text alone', () => {
    const hostile = [
      'password'.repeat(20_000),
      'a:'.repeat(100_000),
      `${'x'.repeat(200_000)}://`,
      'eyJ'.repeat(80_000),
    ]
    // Exponential or quadratic work would not come to an end within the bound of a test.
    for (const text of hostile) expect(masked(text).length).toBeGreaterThan(0)
  })
})

describe('a log that is too long', () => {
  const mib = 1024 ** 2
  const chunk = (number: number) => `${number} `.padEnd(mib / 4 - 1, '.') + '\n'

  test('keeps its beginning and its end, and says what is missing between', async () => {
    await using world = await openTestWorld()
    const { say, all } = await open(world)
    // 96 MiB, of which 64 stay; the last is sent twice.
    for (let number = 1; number <= 384; number++) await say(number, chunk(number))
    await say(384, 'another')
    const lines = await all('limit=50')
    const marks = lines.filter(({ stream }) => stream === 'runner')
    expect(marks).toHaveLength(1)
    expect(marks[0]?.text).toMatch(/^\[\.\.\. \d+ chunks are not kept/)
    const kept = lines.filter(({ stream }) => stream === 'stdout').map(({ number }) => number)
    expect(kept.slice(0, 128)).toEqual([...Array(128).keys()].map((n) => n + 1))
    expect(kept.at(-1)).toBe(384)
    expect(lines.at(-1)?.text).toBe(chunk(384))
    const after = kept.filter((number) => number > (marks[0]?.number ?? 0))
    expect(after).toEqual([...Array(after.length).keys()].map((n) => 384 - after.length + 1 + n))
    const { rows } = { rows: await world.deps.db.selectFrom('log_chunks').select('text').execute() }
    const bytes = rows.reduce((sum, { text }) => sum + text.length, 0)
    expect(bytes).toBeLessThanOrEqual(65 * mib)
    expect(bytes).toBeGreaterThan(63 * mib)
  })
})

test('a log of more attempts than a cursor names is read once and to its end', async () => {
  await using world = await openTestWorld()
  const { say, page } = await open(world)
  await say(1, 'attempt 1\n')
  const { db } = world.deps
  await sql`insert into attempts select (jsonb_populate_record(attempts, jsonb_build_object('id', id || lpad(n::text, 4, '0'),
    'number', n, 'state', 'ended', 'outcome', 'preempted'))).* from attempts, generate_series(2, 560) n`.execute(
    db,
  )
  await sql`insert into log_chunks select project_id, job_id, id, 1, created_at, 'stdout', 'attempt ' || number || E'\n', created_at
    from attempts where number > 1`.execute(db)
  const first = await page('limit=550')
  const rest = await page(`limit=550&cursor=${first.next_cursor}`)
  const texts = [...first.items, ...rest.items].map(({ text }) => text)
  expect(texts).toEqual(Array.from({ length: 560 }, (_, at) => `attempt ${at + 1}\n`))
  expect(rest.next_cursor).toBeNull()
})

test('the first words of an attempt that come after those of the next one are read too', async () => {
  await using world = await openTestWorld()
  const { say, page } = await open(world)
  const { db } = world.deps
  await sql`insert into attempts select (jsonb_populate_record(attempts, jsonb_build_object('id', id || '2', 'number', 2,
    'state', 'ended', 'outcome', 'preempted'))).* from attempts`.execute(db)
  await sql`insert into log_chunks select project_id, job_id, id, 1, created_at, 'stdout', 'the next', created_at
    from attempts where number = 2`.execute(db)
  const first = await page('limit=1')
  expect(first.items.map(({ text }) => text)).toEqual(['the next'])
  await say(1, 'late')
  const rest = await page(`limit=2&cursor=${first.next_cursor}`)
  expect(rest.items.map(({ text }) => text)).toEqual(['late'])
})

test('logs and events go by whole months when they are too old', async () => {
  await using world = await openTestWorld()
  const { db } = world.deps
  const turn = (at: string, before: string) =>
    db.transaction().execute(async (tx) => {
      await ensurePartitions(tx, new Date(at))
      return dropOldPartitions(tx, new Date(before), new Date(0))
    })
  expect(await turn('2026-03-15T00:00:00Z', '2026-02-01T00:00:00Z')).toEqual([])
  const { say, page } = await open(world)
  await say(1, 'first\n')
  expect((await page()).items).toHaveLength(1)
  expect(await turn('2026-04-15T00:00:00Z', '2026-03-31T00:00:00Z')).toEqual([])
  expect((await turn('2026-06-15T00:00:00Z', '2026-04-01T00:00:00Z')).toSorted()).toEqual([
    'events_2026_03',
    'log_chunks_2026_03',
  ])
  expect((await page()).items).toEqual([])
  expect(await turn('2026-06-15T00:00:00Z', '2026-04-01T00:00:00Z')).toEqual([])
})

describe('a search', () => {
  test('finds lines whatever their case, across chunks and pages', async () => {
    await using world = await openTestWorld()
    const { say, all, page } = await open(world)
    await say(1, 'loading AAPL\nloading MSFT\n')
    await say(2, 'nothing here\n')
    await say(3, 'WARNING: aapl has a gap\nend\n')
    const texts = (lines: readonly Line[]) => lines.map(({ number, text }) => [number, text])
    expect(texts(await all('search=aapl'))).toEqual([
      [1, 'loading AAPL\n'],
      [3, 'WARNING: aapl has a gap\n'],
    ])
    expect(texts(await all('search=aapl&limit=1'))).toEqual(texts(await all('search=aapl')))
    expect((await page('search=tsla')).items).toEqual([])
    expect((await world.request('GET', '/v1/jobs/job_1/logs?search=')).status).toBe(422)
  })

  test('of a long log is done in stretches', async () => {
    await using world = await openTestWorld()
    const { say, all, page } = await open(world)
    const text = '.'.repeat(262_143)
    for (let number = 1; number <= 250; number++) await say(number, number === 245 ? 'needle\n' : `${text}\n`)
    const first = await page('search=needle&limit=5')
    expect(first.next_cursor === null ? first.items.length : 0).toBeLessThanOrEqual(1)
    expect((await all('search=needle')).map(({ number }) => number)).toEqual([245])
  })
})

test('chunks that come at once are stored and counted once each', async () => {
  await using world = await openTestWorld()
  for (const offer of world.model.offers) offer.slots = null
  const runners = [await open(world), await open(world), await open(world)]
  const texts = [1, 2, 3].map((number) => `${number}\n`.repeat(10))
  // One that has lost an answer says the same again.
  for (const [at, text] of texts.entries())
    await Promise.all(runners.flatMap(({ say }) => [say(at + 1, text), say(at + 1, text)]))
  for (const { all } of runners) expect((await all()).map(({ text }) => text)).toEqual(texts)
  const sizes = await world.deps.db.selectFrom('log_sizes').select(['bytes', 'counted']).execute()
  expect(sizes).toEqual(Array.from({ length: 3 }, () => ({ bytes: 60, counted: 3 })))
})

test('chunks of one log that come at once are no fault of the statement that stores them', async () => {
  await using world = await openTestWorld()
  for (const offer of world.model.offers) offer.slots = null
  const runners = [await open(world), await open(world)]
  let begun = 0
  let done = 0
  const stores = new WeakSet<object>()
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      if (JSON.stringify(node).includes('insert into log_sizes')) {
        stores.add(queryId)
        begun++
      }
      return node
    },
    transformResult({ queryId, result }) {
      if (stores.has(queryId)) done++
      return Promise.resolve(result)
    },
  }
  const app = createApp({ ...world.deps, db: world.deps.db.withPlugin(plugin) })
  await Promise.all(
    runners.flatMap(({ send }) => [1, 2, 3, 4].map((number) => send(app, number, `${number}\n`))),
  )
  expect(begun).toBeGreaterThan(0)
  // A fault would part the chunks of all other runners as well, and store them one by one.
  expect(done).toBe(begun)
  for (const { all } of runners) expect(await all()).toHaveLength(4)
})
