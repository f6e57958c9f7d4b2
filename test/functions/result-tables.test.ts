// Curves, trades and surfaces of files that programs left, whatever is in them.
import { gzipSync } from 'node:zlib'
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SeriesView } from '../../jobs/series.ts'
import type { SurfaceView } from '../../jobs/surface.ts'
import type { TableView } from '../../jobs/tables.ts'
import type { TradeView } from '../../jobs/trades.ts'
import { type Claims, parquetFile, type Written } from '../support/parquet.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** 64 MiB in 64 KiB. */
const bomb = gzipSync(Buffer.alloc(64 * 1024 ** 2))

let world: World
async function open() {
  world = await openTestWorld()
  const [offer] = world.model.offers
  if (offer) offer.slots = 100
}
beforeAll(open)
afterAll(async () => await world[Symbol.asyncDispose]())

const result = (mode = 'per_symbol', symbols = ['A', 'B']) => ({
  effective_spec: { execution: { cash: 100 }, portfolio: { mode } },
  data: { symbols },
})

/** A job that has ended and left these files. */
async function ended(
  files: Record<string, Buffer<ArrayBuffer>>,
  more: Record<string, unknown> = {},
  told: object = result(),
) {
  // Launches are paced.
  world.advance(30)
  const made = await world.request('POST', '/v1/jobs', { body: backtest(more) })
  const { id } = (await made.json()) as { id: string }
  await world.settle(2)
  const attempt = await world.deps.db
    .selectFrom('attempts')
    .select('id')
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow()
  const key = world.model.machines.get(attempt.id)?.token ?? ''
  const say = (body: object) => world.request('POST', `/v1/attempts/${attempt.id}/report`, { key, body })
  await say({ type: 'started', instance: 'one' })
  for (const [name, bytes] of Object.entries(files)) {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/octet-stream' }
    const put = await world.app.request(`/v1/attempts/${attempt.id}/artifacts/${name}`, {
      method: 'PUT',
      headers,
      body: bytes,
    })
    expect(put.status).toBe(200)
  }
  await say({ type: 'finished', exit_code: 0, failure: null, result: told })
  await world.settle(2)
  return id
}

async function read<Body>(id: string, path: string): Promise<Body> {
  const answer = await world.request('GET', `/v1/jobs/${id}/${path}`)
  expect([path, answer.status, answer.status === 200 ? '' : await answer.clone().text()]).toEqual([
    path,
    200,
    '',
  ])
  return (await answer.json()) as Body
}

async function refused(id: string, path: string) {
  const answer = await world.request('GET', `/v1/jobs/${id}/${path}`)
  const { code, errors } = (await answer.json()) as { code: string; errors: { path: string }[] }
  return [answer.status, code, ...errors.map((error) => error.path)]
}

interface Row {
  rank: number
  symbol: string
  day: number
  equity: number
}

function equityFile(rows: readonly Row[], claims: Claims = {}) {
  const columns: Written[] = [
    { name: 'rank', type: 'int', values: rows.map(({ rank }) => rank) },
    { name: 'symbol', type: 'text', values: rows.map(({ symbol }) => symbol) },
    { name: 'date', type: 'days', values: rows.map(({ day }) => day) },
    { name: 'equity', type: 'double', values: rows.map(({ equity }) => equity) },
    { name: 'position', type: 'double', values: rows.map(({ day }) => day % 2) },
    { name: 'drawdown', type: 'double', values: rows.map(({ equity }) => equity / 200 - 1) },
  ]
  return parquetFile(columns, claims)
}

/** Two accounts of three days, at two ranks. */
const small = equityFile(
  [1, 2].flatMap((rank) =>
    ['A', 'B'].flatMap((symbol) =>
      [0, 1, 2].map((day) => ({ rank, symbol, day, equity: rank * 100 + day * (symbol === 'A' ? 10 : -5) })),
    ),
  ),
)

describe('series', () => {
  test('an account is shown as the program wrote it, all of them as their sum', async () => {
    const id = await ended({ 'equity.parquet': small })
    const one = await read<SeriesView>(id, 'series?rank=2&symbol=A&columns=equity,drawdown,position')
    expect(one).toMatchObject({
      rank: 2,
      symbol: 'A',
      symbols: ['A', 'B'],
      cash: 100,
      rows: 3,
      sampled: false,
    })
    expect(one.series).toEqual({
      date: ['1970-01-01', '1970-01-02', '1970-01-03'],
      equity: [200, 210, 220],
      drawdown: [0, 210 / 200 - 1, 220 / 200 - 1],
      position: [0, 1, 0],
    })
    const all = await read<SeriesView>(id, 'series?columns=equity,drawdown,position')
    expect(all).toMatchObject({ rank: 1, symbol: null, cash: 200, left_out: [] })
    expect(all.series).toEqual({
      date: ['1970-01-01', '1970-01-02', '1970-01-03'],
      equity: [200, 205, 210],
      drawdown: [0, 0, 0],
      position: [0, 2, 0],
    })
  })

  test('a stretch of time is cut out, its last day included', async () => {
    const id = await ended({ 'equity.parquet': small })
    const { series } = await read<SeriesView>(
      id,
      'series?symbol=B&from=1970-01-02&to=1970-01-03&columns=equity',
    )
    expect(series).toEqual({ date: ['1970-01-02', '1970-01-03'], equity: [95, 90] })
  })

  test('fewer dates are shown, and neither a peak nor the deepest drawdown is lost', async () => {
    const days = 5_000
    const equity = (day: number) => (day === 1_234 ? 500 : day === 3_456 ? 20 : 100 + (day % 7))
    const rows = Array.from({ length: days }, (_, day) => ({
      rank: 1,
      symbol: 'A',
      day,
      equity: equity(day),
    }))
    const id = await ended({ 'equity.parquet': equityFile(rows) }, {}, result('per_symbol', ['A']))
    const found = await read<SeriesView>(id, 'series?max_points=100')
    expect(found).toMatchObject({ rows: days, sampled: true })
    const shown = found.series.equity ?? []
    expect(shown.length).toBeLessThanOrEqual(100)
    expect([Math.max(...shown.map(Number)), Math.min(...shown.map(Number))]).toEqual([500, 20])
    expect(Math.min(...(found.series.drawdown ?? []).map(Number))).toBe(20 / 200 - 1)
    expect([found.series.date[0], found.series.date.at(-1)]).toEqual(['1970-01-01', '1983-09-09'])
    expect(found.series.date.toSorted()).toEqual(found.series.date)
    // Each is a row of the curve.
    found.series.date.forEach((date, at) =>
      expect(shown[at]).toBe(equity(Math.round(Date.parse(date) / 86_400_000))),
    )
  })

  test('what is asked wrongly is refused with its field', async () => {
    const id = await ended({ 'equity.parquet': small })
    expect(await refused(id, 'series?rank=3')).toEqual([422, 'invalid_request', 'rank'])
    expect(await refused(id, 'series?symbol=C')).toEqual([422, 'invalid_request', 'symbol'])
    expect(await refused(id, 'series?columns=equity,secret')).toEqual([422, 'invalid_request', 'columns'])
    expect(await refused(id, 'series?max_points=10001')).toEqual([422, 'invalid_request', 'max_points'])
    expect(await refused(id, 'series?from=yesterday')).toEqual([422, 'invalid_request', 'from'])
  })

  test('a job that has not ended, and one that left no such file, say so', async () => {
    const none = await ended({})
    expect(await refused(none, 'series')).toEqual([404, 'no_result'])
    const made = await world.request('POST', '/v1/jobs', { body: backtest() })
    const { id } = (await made.json()) as { id: string }
    expect(await refused(id, 'series')).toEqual([409, 'job_not_finished'])
  })
})

describe('prices', () => {
  async function dataset(adjustment: string, csv: string) {
    const about = {
      name: 'prices',
      format: 'csv',
      bytes: csv.length,
      sha256: createHash('sha256').update(csv).digest('hex'),
      adjustment,
    }
    const made = await world.request('POST', '/v1/datasets', { body: about })
    const { id } = (await made.json()) as { id: string }
    const headers = { 'content-type': 'application/octet-stream' }
    await world.request('PUT', `/v1/datasets/${id}/parts/0`, { body: csv, headers })
    expect((await world.request('POST', `/v1/datasets/${id}/complete`)).status).toBe(200)
    return { params: { ...backtest().params, data: { dataset: id } } }
  }
  const alone = result('per_symbol', ['A'])
  const equity = equityFile([0, 1, 2].map((day) => ({ rank: 1, symbol: 'A', day, equity: 100 + day })))

  test('the closes of a dataset stand beside the curve, and what holding it would have come to', async () => {
    const csv = 'date,close\n1970-01-01,10\n1970-01-02,12\n1970-01-03,15\n'
    const id = await ended({ 'equity.parquet': equity }, await dataset('total', csv), alone)
    const { series, left_out } = await read<SeriesView>(id, 'series?columns=price,hold')
    expect(left_out).toEqual([])
    expect(series).toMatchObject({ price: [10, 12, 15], hold: [100, 120, 150] })
  })

  test('prices that are not adjusted are shown, and not held', async () => {
    const csv = 'symbol,date,close\nA,1970-01-01,10\nB,1970-01-01,1\nA,1970-01-03,15\n'
    const id = await ended({ 'equity.parquet': equity }, await dataset('none', csv), alone)
    const { series, left_out } = await read<SeriesView>(id, 'series?symbol=A&columns=equity,price,hold')
    expect(series).toMatchObject({ equity: [100, 101, 102], price: [10, null, 15] })
    expect(left_out).toMatchObject([{ column: 'hold', reason: 'not_adjusted' }])
  })

  test('a file that is not kept, and a price of several symbols, are left out with the reason', async () => {
    const files = [{ url: 'https://example.com/a.csv', sha256: '0'.repeat(64) }]
    const params = { ...backtest().params, data: { files, adjustment: 'total' } }
    const id = await ended({ 'equity.parquet': equity }, { params }, alone)
    const found = await read<SeriesView>(id, 'series?columns=equity,price')
    expect(found.left_out).toMatchObject([{ column: 'price', reason: 'not_kept' }])
    const several = await ended({ 'equity.parquet': small })
    expect((await read<SeriesView>(several, 'series?columns=equity,price')).left_out).toMatchObject([
      { column: 'price', reason: 'no_symbol' },
    ])
  })
})

describe('trades', () => {
  const trades = (count: number): Written[] => {
    const of = (value: (at: number) => number) => Array.from({ length: count }, (_, at) => value(at))
    return [
      { name: 'rank', type: 'int', values: of(() => 1) },
      {
        name: 'symbol',
        type: 'text',
        values: Array.from({ length: count }, (_, at) => (at % 2 ? 'B' : 'A')),
      },
      { name: 'entry_date', type: 'days', values: of((at) => count - at) },
      { name: 'exit_date', type: 'days', values: of((at) => count - at + 5) },
      ...['entry_price', 'exit_price', 'units', 'fees', 'return'].map((name): Written => ({
        name,
        type: 'double',
        values: of((at) => at),
      })),
      { name: 'pnl', type: 'double', values: of((at) => (at === 3 ? Number.NaN : at % 5)) },
      { name: 'bars', type: 'int', values: of(() => 5) },
      { name: 'exit_reason', type: 'text', values: Array.from({ length: count }, () => 'signal') },
      { name: 'open', type: 'int', values: of((at) => Number(at === 3)) },
    ]
  }
  type Page = { items: TradeView[]; next_cursor: string | null; total: number }

  test('pages hold each trade once, in the order that is asked for', async () => {
    const id = await ended({ 'trades.parquet': parquetFile(trades(23)) })
    const seen: TradeView[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const more = cursor === '' ? '' : `&cursor=${cursor}`
      const page: Page = await read<Page>(id, `trades?sort=-pnl&limit=5${more}`)
      expect(page.total).toBe(23)
      seen.push(...page.items)
      cursor = page.next_cursor
    }
    expect(new Set(seen.map(({ entry_date }) => entry_date)).size).toBe(23)
    const pnl = seen.map((trade) => trade.pnl)
    expect(pnl.at(-1)).toBeNull()
    expect(pnl.slice(0, -1)).toEqual(pnl.slice(0, -1).toSorted((a, b) => Number(b) - Number(a)))
    expect(seen.at(-1)).toMatchObject({ open: true, exit_reason: 'signal', bars: 5 })
    const first = await read<Page>(id, 'trades?symbol=B&limit=1')
    expect(first).toMatchObject({ total: 11, items: [{ symbol: 'B', entry_date: '1970-01-03' }] })
    expect(await read<Page>(id, 'trades?rank=2')).toEqual({ items: [], next_cursor: null, total: 0 })
  })

  test('a cursor of another order is refused', async () => {
    const id = await ended({ 'trades.parquet': parquetFile(trades(3)) })
    const { next_cursor } = await read<Page>(id, 'trades?limit=1')
    expect(await refused(id, `trades?limit=1&sort=pnl&cursor=${next_cursor}`)).toEqual([
      422,
      'invalid_cursor',
    ])
    expect(await refused(id, 'trades?cursor=nonsense')).toEqual([422, 'invalid_cursor'])
  })
})

test('a surface puts the points together by two parameters', async () => {
  const file = parquetFile([
    { name: 'fast', type: 'int', values: [1, 1, 2, 2, 2] },
    { name: 'slow', type: 'int', values: [5, 9, 5, 9, 9] },
    { name: 'stop', type: 'double', values: [0, 0, 0, 0, 1] },
    { name: 'objective', type: 'double', values: [0.1, 0.2, Number.NaN, 0.4, 0.6] },
  ])
  const id = await ended({ 'points.parquet': file })
  const found = await read<SurfaceView>(id, 'surface?x=fast&y=slow&reduce=mean')
  expect(found).toMatchObject({ x: { values: [1, 2] }, y: { values: [5, 9] }, points: 5 })
  expect(found.cells).toEqual([
    { x: 0, y: 0, value: 0.1, points: 1 },
    { x: 0, y: 1, value: 0.2, points: 1 },
    { x: 1, y: 1, value: 0.5, points: 2 },
  ])
  expect(await refused(id, 'surface?x=fast&y=none')).toEqual([422, 'invalid_request', 'y'])
  expect(await refused(id, 'surface?x=fast')).toEqual([422, 'invalid_request', 'y'])
})

test('rows of a table are shown as they are, and of many some of every part', async () => {
  const days = Array.from({ length: 3_000 }, (_, day) => day)
  const file = parquetFile([
    { name: 'date', type: 'days', values: days },
    { name: 'symbol', type: 'text', values: days.map((day) => 'ABC'[day % 3] ?? '') },
    { name: 'y', type: 'double', values: days.map((day) => (day === 7 ? Number.NaN : day / 2)) },
  ])
  const id = await ended({ 'predictions.parquet': file })
  const first = await read<TableView>(
    id,
    'tables/predictions.parquet?where=symbol:B&columns=date,y&max_rows=10000',
  )
  expect(first).toMatchObject({ rows: 1_000, sampled: false })
  expect(first.columns['date']?.slice(0, 3)).toEqual(['1970-01-02', '1970-01-05', '1970-01-08'])
  expect(first.columns['y']?.slice(0, 3)).toEqual([0.5, 2, null])
  const some = await read<TableView>(id, 'tables/predictions.parquet?max_rows=300')
  expect(some).toMatchObject({ rows: 3_000, sampled: true })
  // A tenth of the rows, and each symbol has its share.
  for (const symbol of ['A', 'B', 'C'])
    expect(some.columns['symbol']?.filter((each) => each === symbol).length).toBeGreaterThan(80)
  expect(new Set(some.columns['date']).size).toBe(300)
  expect(await refused(id, 'tables/predictions.parquet?columns=z')).toEqual([
    422,
    'invalid_request',
    'columns',
  ])
  expect(await refused(id, 'tables/predictions.parquet?where=y')).toEqual([422, 'invalid_request', 'where'])
  expect(await refused(id, 'tables/other.parquet')).toEqual([404, 'no_result'])
})

describe('files that lie', () => {
  // One project launches no more than so many in a row.
  beforeAll(async () => {
    await world[Symbol.asyncDispose]()
    await open()
  })
  const rows = [0, 1, 2].map((day) => ({ rank: 1, symbol: 'A', day, equity: 100 }))
  const lies: [string, Claims | Buffer<ArrayBuffer>, string][] = [
    ['more values in a page than in its group', { page_values: 2_000_000_000 }, 'table_unreadable'],
    // Its first byte says that each takes 0 bits: they are made of nothing.
    ['many values of no bits', { of: 'equity', page_values: 2_000_000_000, encoding: 8 }, 'table_unreadable'],
    [
      'a page that is unpacked larger than its column',
      { page_bytes: 2_000_000_000, codec: 6 },
      'table_unreadable',
    ],
    [
      'a page that unpacks to more than it says',
      { packed: bomb, page_bytes: 1_000, codec: 2 },
      'table_unreadable',
    ],
    [
      'a page that unpacks to gigabytes',
      { packed: bomb, page_bytes: 2 ** 31 - 1, codec: 2 },
      'table_unreadable',
    ],
    ['a column of many bytes', { column_bytes: 2 ** 40 }, 'table_too_large'],
    ['a group of many rows', { group_rows: 2 ** 40 }, 'table_too_large'],
    ['fewer values than rows', { group_rows: 1_000 }, 'table_unreadable'],
    ['a codec that nobody knows', { codec: 7 }, 'table_unreadable'],
    ['no file of this kind', Buffer.from('PAR1 is what it begins with'), 'table_unreadable'],
    ['nothing', Buffer.alloc(0), 'table_unreadable'],
    [
      'a footer larger than the file',
      Buffer.from('PAR1____\xff\xff\xff\x7fPAR1', 'latin1'),
      'table_unreadable',
    ],
  ]

  test.each(lies)('%s', async (_, given, code) => {
    const file = Buffer.isBuffer(given) ? given : equityFile(rows, given)
    const id = await ended({ 'equity.parquet': file })
    expect(await refused(id, 'series')).toEqual([422, code])
  })

  test('runs without an end, which would fill the memory, end with their process alone', async () => {
    const long = equityFile(rows.slice(0, 1), { levels: endless })
    const id = await ended({ 'equity.parquet': long })
    expect(await refused(id, 'series')).toEqual([422, 'table_too_large'])
    // The next one is read.
    const good = await ended({ 'equity.parquet': small })
    expect((await read<SeriesView>(good, 'series?symbol=A')).rows).toBe(3)
  })
})

/** A run of levels that claims 2^28 of them, while its page has one value. */
const endless = Buffer.from([7, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x02, 1, 0])
