// What is read of a real backtest agrees with what its program says.
import { describe, expect, test } from 'vitest'
import type { PointView } from '../../jobs/points.ts'
import type { SeriesView } from '../../jobs/series.ts'
import type { SurfaceView } from '../../jobs/surface.ts'
import type { TableView } from '../../jobs/tables.ts'
import type { TradeView } from '../../jobs/trades.ts'
import { isPostgres } from '../support/database.ts'
import { realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

interface Told {
  best: { point: number; metrics: Record<string, number> }
}

describe.skipIf(isPostgres)('the tables of a real backtest', () => {
  test('curves, trades and points agree with the result', async () => {
    await using desk = await openMigratedDesk()
    const { id } = await desk.submit(realBacktest())
    const { result } = await desk.ended(id)
    const { metrics } = (result as unknown as Told).best
    const columns = 'columns=equity,drawdown,position,price,hold'
    const sums = { equity: 0, drawdown: 0, trades: 0 }
    for (const symbol of ['AAPL', 'MSFT']) {
      const { series, cash, left_out } = await desk.get<SeriesView>(
        `/v1/jobs/${id}/series?symbol=${symbol}&${columns}&max_points=10000`,
      )
      expect([cash, left_out]).toEqual([10_000, []])
      const last = Number(series.equity?.at(-1))
      sums.equity += last
      sums.drawdown += Math.min(...(series.drawdown ?? []).map(Number))
      const { items, total } = await desk.get<{ items: TradeView[]; total: number }>(
        `/v1/jobs/${id}/trades?symbol=${symbol}&limit=500`,
      )
      sums.trades += items.filter(({ open }) => !open).length
      expect(total).toBe(items.length)
      // What the trades earned is what the account has more than its cash.
      expect(items.reduce((sum, { pnl }) => sum + Number(pnl), 10_000)).toBeCloseTo(last, 6)
      const price = series.price ?? []
      expect(Number(series.hold?.at(-1))).toBeCloseTo((10_000 * Number(price.at(-1))) / Number(price[0]), 6)
      // A trade that was bought at the close paid slippage on it.
      const [trade] = items
      const at = series.date.indexOf(trade?.entry_date ?? '')
      expect(Number(trade?.entry_price)).toBeCloseTo(Number(price[at]) * 1.0005, 6)
      const few = await desk.get<SeriesView>(`/v1/jobs/${id}/series?symbol=${symbol}&max_points=100`)
      expect(Math.min(...(few.series.drawdown ?? []).map(Number))).toBe(
        Math.min(...(series.drawdown ?? []).map(Number)),
      )
    }
    // Means over the symbols.
    expect(sums.equity / 2).toBeCloseTo(Number(metrics['final_equity']), 6)
    expect(sums.drawdown / 2).toBeCloseTo(Number(metrics['max_drawdown']), 9)
    expect(sums.trades / 2).toBe(metrics['trades'])
    const all = await desk.get<SeriesView>(`/v1/jobs/${id}/series?max_points=10000`)
    expect(all.cash).toBe(20_000)
    expect(Number(all.series.equity?.at(-1))).toBeCloseTo(sums.equity, 6)
    const { point } = (result as unknown as Told).best
    const own = await desk.get<TableView>(`/v1/jobs/${id}/tables/metrics.parquet?where=point:${point}`)
    expect(own.columns['symbol']).toEqual(['AAPL', 'MSFT'])
    expect(own.columns['sharpe']?.reduce((sum: number, each) => sum + Number(each) / 2, 0)).toBeCloseTo(
      Number(metrics['sharpe']),
      9,
    )
    const { items: points } = await desk.get<{ items: PointView[] }>(`/v1/jobs/${id}/points?limit=500`)
    const surface = await desk.get<SurfaceView>(`/v1/jobs/${id}/surface?x=fast&y=slow`)
    expect(surface.points).toBe(points.length)
    const shown = surface.cells.map(({ x, y, value }) =>
      JSON.stringify([surface.x.values[x], surface.y.values[y], value]),
    )
    const told = points.map(({ parameters, objective }) =>
      JSON.stringify([parameters['fast'], parameters['slow'], objective]),
    )
    expect(shown.toSorted((one, other) => one.localeCompare(other))).toEqual(
      told.toSorted((one, other) => one.localeCompare(other)),
    )
  })
})
