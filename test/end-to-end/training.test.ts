import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import type { Desk } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

/** A few seconds: two years of six symbols. */
const training = (more: Record<string, unknown> = {}) => ({
  kind: 'training',
  params: {
    data: {
      dataset: 'sample:sp500-20',
      symbols: ['AAPL', 'JPM', 'KO', 'MSFT', 'PG', 'XOM'],
      start: '2016-01-01',
      end: '2017-12-31',
    },
    features: [
      { name: 'ret', lags: [1, 5] },
      { name: 'rsi', window: 14 },
    ],
    target: { name: 'forward_return', horizon: 5 },
    model: { name: 'xgboost', params: { n_estimators: 20, max_depth: 3 } },
    validation: { folds: 2 },
    ...more,
  },
})

interface Trained {
  engine: { device: string; threads: number }
  metrics: { test: { overall: { rmse: number }; folds: unknown[] } }
}

describe.skipIf(isPostgres)('a real training over REST, on the embedded default', () => {
  /** Whose files jobs may read. */
  let folder: string
  let desk: Desk
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'berth-training-'))
    desk = await openMigratedDesk({ BERTH_LOCAL_DATA_DIRS: folder })
  })
  afterAll(async () => {
    await desk[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  test('it runs, is paid for, and leaves a model, predictions and a report', async () => {
    const { id, priority } = await desk.submit({ ...training(), resources: { cpu: 1 } })
    expect(priority).toBe('high')
    const job = await desk.ended(id)
    expect(job).toMatchObject({
      state: 'succeeded',
      attempts: [{ provider: 'local', exit_code: 0 }],
      cost: { final: true },
    })
    const result = job.result as unknown as Trained
    expect(result.engine).toMatchObject({ device: 'cpu', threads: 1 })
    expect(result.metrics.test.folds).toHaveLength(2)
    expect(result.metrics.test.overall.rmse).toBeGreaterThan(0)
    const { items } = await desk.get<{ items: { name: string }[] }>(`/v1/jobs/${id}/artifacts`)
    expect(items.map(({ name }) => name).toSorted()).toEqual([
      'importance.parquet',
      'model/model.json',
      'model/model.ubj',
      'predictions.parquet',
      'report.html',
      'result.json',
    ])
    // The same once more is given from the cache.
    const again = await desk.submit({ ...training(), resources: { cpu: 1 } })
    expect(again).toMatchObject({ state: 'succeeded', cached_from: id })
  })

  test('a backtest trades on its predictions, and refuses those of dates that were trained on', async () => {
    const { id } = await desk.submit(training())
    await desk.ended(id)
    const file = await desk.request(`/v1/jobs/${id}/artifacts/predictions.parquet`)
    writeFileSync(join(folder, 'p.parquet'), Buffer.from(await file.arrayBuffer()))
    const backtest = (name: string) => ({
      kind: 'backtest',
      params: {
        data: training().params.data,
        strategy: { predictions: { url: `file://${folder}/${name}` }, rule: { top_k: 2 }, every: 5 },
        portfolio: { mode: 'shared' },
      },
    })
    const job = await desk.ended((await desk.submit(backtest('p.parquet'))).id)
    expect(job.state).toBe('succeeded')
    const { best, warnings } = job.result as unknown as {
      best: { metrics: { trades: number } }
      warnings: { code: string }[]
    }
    expect(best.metrics.trades).toBeGreaterThan(5)
    expect(warnings.map(({ code }) => code)).not.toContain('predictions_unchecked')
    const rows = ['2017-06-05,KO,0.1,2016-01-01,2017-12-31']
    writeFileSync(
      join(folder, 'q.csv'),
      ['date,symbol,prediction,train_start,train_end', ...rows, ''].join('\n'),
    )
    expect(await desk.ended((await desk.submit(backtest('q.csv'))).id)).toMatchObject({
      state: 'failed',
      error: { code: 'look_ahead', exit_code: 4 },
    })
  })

  test('what only the program can tell is the user’s to mend, and is not tried again', async () => {
    const { id } = await desk.submit(training({ model: { name: 'xgboost', params: { max_dept: 3 } } }))
    const job = await desk.ended(id)
    expect(job).toMatchObject({
      state: 'failed',
      error: { code: 'invalid_params', exit_code: 2 },
    })
    expect(job.error?.message).toMatch(/model\.params\.max_dept: .*did you mean max_depth/)
    expect(job.attempts).toHaveLength(1)
  })

  test('a table from a named folder is trained on, and too little memory is told with the figure', async () => {
    const rows = Array.from({ length: 200 }, (_, i) => {
      const day = new Date(Date.UTC(2020, 0, 1 + i)).toISOString().slice(0, 10)
      return `${day},${Math.sin(i * 1.7)},${Math.sin(i * 1.7) + Math.cos(i * 12.9) / 10}`
    })
    writeFileSync(join(folder, 't.csv'), ['date,f,y', ...rows, ''].join('\n'))
    const table = { url: `file://${folder}/t.csv`, target: 'y', time: 'date', horizon: 1 }
    const spec = { kind: 'training', params: { table, model: { name: 'ridge' }, validation: { folds: 3 } } }
    const job = await desk.ended((await desk.submit(spec)).id)
    expect(job.state).toBe('succeeded')
    const { metrics } = job.result as unknown as { metrics: { test: { overall: { r2: number } } } }
    expect(metrics.test.overall.r2).toBeGreaterThan(0.9)
    const small = { ...spec, resources: { memory_gib: 0.3 }, retry: { max_attempts: 1 } }
    expect(await desk.ended((await desk.submit({ ...small, cache: false })).id)).toMatchObject({
      state: 'failed',
      error: { code: 'out_of_memory' },
    })
  })
})
