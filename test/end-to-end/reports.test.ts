import { execFile } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, test } from 'vitest'
import { noBrowser, openBrowser } from '../support/browser.ts'

const root = join(import.meta.dirname, '..', '..')
const data = {
  dataset: 'sample:sp500-20',
  symbols: ['AAPL', 'JPM', 'KO', 'MSFT', 'PG', 'XOM'],
  start: '2016-01-01',
  end: '2017-12-31',
}

/** Runs a program by hand; returns its folder of results. */
async function ran(module: string, spec: unknown): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-report-'))
  writeFileSync(join(folder, 'spec.json'), JSON.stringify(spec))
  const python = join(root, '.venv', 'bin', 'python')
  await promisify(execFile)(python, ['-m', module, 'spec.json', 'out'], { cwd: folder })
  return join(folder, 'out')
}

/** Opens a page from the disk; returns it, what went wrong on it and what it asked for beside itself. */
async function opened(page: Page, path: string): Promise<{ wrong: string[]; asked: string[] }> {
  const [wrong, asked]: [string[], string[]] = [[], []]
  const address = pathToFileURL(path).href
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) wrong.push(message.text())
  })
  page.on('pageerror', (error) => wrong.push(String(error)))
  page.on('request', (request) => {
    if (request.url() !== address) asked.push(request.url())
  })
  await page.goto(address)
  return { wrong, asked }
}

/** How far the page is wider than its window: what is wide scrolls in a box of its own. */
const overflow = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

describe('reports in a real browser', () => {
  beforeEach((context) => {
    if (noBrowser !== null) context.skip(noBrowser)
  })

  test('a training’s page has no error, asks nothing of the network, sorts and reads out', async () => {
    const out = await ran('berth_training', {
      data,
      features: [
        { name: 'ret', lags: [1, 5] },
        { name: 'rsi', window: 14 },
      ],
      target: { name: 'forward_return', horizon: 5 },
      model: { name: 'xgboost', params: { n_estimators: 10 } },
      search: { method: 'grid', space: { max_depth: { values: [2, 3] } } },
      validation: { folds: 2 },
      output: { curves: true, permutation: true },
    })
    const browser = await openBrowser()
    try {
      const page = await browser.newPage({ viewport: { width: 390, height: 800 } })
      const { wrong, asked } = await opened(page, join(out, 'report.html'))
      expect(await page.title()).toBe('xgboost, regression over 5 dates')
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      const table = page.locator('table.sortable').first()
      const column = () => table.locator('tbody tr td:last-child').allTextContents()
      await table.locator('thead th').last().click()
      const rising = await column()
      expect(rising.length).toBeGreaterThan(1)
      await table.locator('thead th').last().click()
      expect(await column()).toEqual(rising.toReversed())
      const chart = page.locator('svg:has(g.read)').first()
      await chart.scrollIntoViewIfNeeded()
      await chart.hover()
      expect(await page.locator('p.readout').first().textContent()).toMatch(/201[67]-\d\d-\d\d/)
      expect({ wrong, asked }).toEqual({ wrong: [], asked: [] })
    } finally {
      await browser.close()
    }
  })

  test('a backtest’s page has no error and asks nothing of the network', async () => {
    const out = await ran('berth_backtest', {
      data,
      strategy: { name: 'sma_cross' },
      parameters: { fast: { values: [5, 10] }, slow: { values: [20, 40] } },
    })
    const browser = await openBrowser()
    try {
      const page = await browser.newPage({ viewport: { width: 390, height: 800 } })
      const { wrong, asked } = await opened(page, join(out, 'tearsheet.html'))
      expect(await page.title()).toBe('sma_cross, AAPL, JPM, KO, MSFT, PG and 1 more')
      expect(await overflow(page)).toBeLessThanOrEqual(0)
      expect(await page.locator('svg').count()).toBeGreaterThan(2)
      expect({ wrong, asked }).toEqual({ wrong: [], asked: [] })
    } finally {
      await browser.close()
    }
  })
})
