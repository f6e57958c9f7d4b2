// The pages of results in a real browser, of a real backtest, a sweep and a training.
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SeriesView } from '../../jobs/series.ts'
import type { JobView } from '../../jobs/view.ts'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { type Opened, openPage, overflow, violations } from '../support/console.ts'
import { isPostgres } from '../support/database.ts'
import { type Desk, realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

let desk: Desk
let browser: Browser
let page: Page
let opened: Opened
const jobs = { sweep: '', one: '', training: '' }
let best: { parameters: Record<string, number>; objective: number }
let overfitting: { deflated_sharpe: number; trials: number }

const one = () => {
  const spec = realBacktest({ name: 'one set' })
  return { ...spec, params: { ...spec.params, parameters: { fast: 10, slow: 60 } } }
}
const training = {
  kind: 'training',
  name: 'ridge',
  cache: false,
  params: {
    data: {
      dataset: 'sample:sp500-20',
      symbols: ['AAPL', 'KO', 'JPM', 'XOM', 'PG'],
      start: '2017-01-01',
      end: '2019-12-31',
    },
    features: [
      { name: 'ret', lags: [1, 5] },
      { name: 'rsi', window: 14 },
    ],
    target: { name: 'forward_return', horizon: 5, kind: 'regression' },
    model: { name: 'ridge', params: {} },
    search: { method: 'random', trials: 2, space: { alpha: { log_uniform: [0.1, 10] } }, objective: 'rmse' },
    validation: { method: 'walk_forward', folds: 2, purge: 5 },
    output: { curves: true },
  },
}

describe.skipIf(noBrowser !== null || isPostgres)('pages of results', () => {
  beforeAll(async () => {
    // Plain JavaScript, without types.
    const built = new URL('../../infra/console-env.mjs', import.meta.url).href
    const { ensureConsole } = (await import(built)) as { ensureConsole: (options: object) => Promise<void> }
    await ensureConsole({ log: () => undefined })
    desk = await openMigratedDesk()
    const specs = [realBacktest({ name: 'a sweep' }), one(), training]
    const made = await Promise.all(specs.map((spec) => desk.submit(spec)))
    ;[browser] = await Promise.all([openBrowser(), ...made.map(({ id }) => desk.ended(id))])
    const [sweep = '', alone = '', trained = ''] = made.map(({ id }) => id)
    Object.assign(jobs, { sweep, one: alone, training: trained })
    const { result } = await desk.get<JobView>(`/v1/jobs/${sweep}`)
    ;({ best, overfitting } = result as unknown as { best: typeof best; overfitting: typeof overfitting })
    const { url, key } = desk.server()
    opened = await openPage(browser, { url, key })
    ;({ page } = opened)
  })
  afterAll(async () => {
    await browser?.close()
    await desk?.[Symbol.asyncDispose]()
  })

  const open = async (path: string) => {
    await page.goto(path)
    await page.locator('[data-drawn]').first().waitFor()
  }

  /** Findings of axe in both themes, and by how much the page is wider than a phone. */
  const faults = async () => {
    const found: string[] = []
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme })
      await page.locator(`html[data-theme=${colorScheme}]`).waitFor()
      found.push(...(await violations(page)).map((each) => `${colorScheme}: ${each}`))
    }
    await page.setViewportSize({ width: 360, height: 800 })
    const wider = await overflow(page)
    const main = await page.evaluate(
      "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.querySelector('main'))",
    )
    await page.setViewportSize({ width: 1_280, height: 800 })
    return [
      ...found,
      ...(wider === 0 && main === 0 ? [] : [`${String(wider)} and ${String(main)} px too wide`]),
    ]
  }

  test('a backtest shows its best point with what luck makes of it, its curves and trades', async () => {
    await open(`/jobs/${jobs.sweep}`)
    const point = page.getByRole('region', { name: 'The best point' })
    for (const text of [
      'Points tried',
      '44',
      'Deflated Sharpe',
      overfitting.deflated_sharpe.toFixed(3),
      'not measured',
    ])
      await point.getByText(text, { exact: true }).waitFor()
    await page.getByLabel('Symbol', { exact: true }).selectOption('AAPL')
    await page.getByRole('heading', { name: 'Trades on the price of AAPL' }).waitFor()
    expect(new URL(page.url()).searchParams.get('symbol')).toBe('AAPL')
    const found = await desk.get<SeriesView>(`/v1/jobs/${jobs.sweep}/series?symbol=AAPL&max_points=10000`)
    const { total } = await desk.get<{ total: number }>(`/v1/jobs/${jobs.sweep}/trades?symbol=AAPL`)
    await page.getByRole('heading', { name: `Trades · ${total}` }).waitFor()
    await page.getByRole('button', { name: 'Equity and drawdown as a table' }).click()
    const first = page.getByRole('region', { name: 'Equity and drawdown' }).getByRole('row').nth(1)
    expect(await first.innerText()).toContain(found.series.date[0])
    await page.reload()
    await page.getByRole('heading', { name: 'Trades on the price of AAPL' }).waitFor()
    await page.locator('[data-drawn]').nth(2).waitFor()
    expect(await faults()).toEqual([])
  })

  test('a sweep shows its surface and its points in the order that is asked for', async () => {
    await open(`/jobs/${jobs.sweep}?tab=sweep`)
    await page.getByRole('heading', { name: 'Sharpe over fast and slow' }).waitFor()
    const row = page.getByRole('table', { name: 'Points' }).getByRole('row').nth(1)
    await row.getByRole('cell').nth(3).waitFor()
    const shown = await row.getByRole('cell').allInnerTexts()
    expect(shown.slice(1, 4)).toEqual([
      String(best.parameters['fast']),
      String(best.parameters['slow']),
      best.objective.toFixed(3),
    ])
    await page.getByLabel('Points', { exact: true }).and(page.locator('select')).selectOption('point')
    await row.getByRole('cell', { name: '0', exact: true }).waitFor()
    await page.getByLabel('Figure').selectOption('max_drawdown')
    await page.getByRole('heading', { name: 'Max drawdown over fast and slow' }).waitFor()
    expect(await faults()).toEqual([])
  })

  test('jobs are compared by curves, figures and specs, and the address says which', async () => {
    await open(`/compare?jobs=${jobs.sweep}`.concat(`,${jobs.one}`))
    const tried = page.getByRole('row', { name: /^Points tried/ })
    expect((await tried.innerText()).split(/\s+/).slice(-2)).toEqual(['44', '1'])
    await page.getByRole('row', { name: /params\.parameters\.fast\.range/ }).waitFor()
    expect(await faults()).toEqual([])
    await page.getByRole('button', { name: 'Remove one set' }).click()
    await page.getByText('Choose two jobs or more').waitFor()
    expect(new URL(page.url()).searchParams.get('jobs')).toBe(jobs.sweep)
  })

  test('a training shows honest figures first, folds, curve, importance, predictions and trials', async () => {
    await open(`/jobs/${jobs.training}`)
    for (const name of [
      'Folds · RMSE',
      'Feature importance',
      'Learning curve · RMSE',
      'Predictions against truth',
      'Trials · RMSE',
    ])
      await page.getByRole('heading', { name }).waitFor()
    await page.getByText(/^Selection: .* \(biased\)$/).waitFor()
    await page.locator('[data-drawn]').nth(4).waitFor()
    expect(await faults()).toEqual([])
  })

  test('the same is there in Chinese, where red is up', async () => {
    await page.evaluate(() => localStorage.setItem('berth.prefs', JSON.stringify({ language: 'zh-CN' })))
    await open(`/jobs/${jobs.one}`)
    await page.getByRole('heading', { name: '权益与回撤' }).waitFor()
    await page.getByText('样本外').first().waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN')
  })

  test('the browser has nothing to complain of', () => {
    expect(opened.wrong).toEqual([])
  })
})
