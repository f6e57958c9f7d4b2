import { execFile } from 'node:child_process'
import { mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { patience_ms } from '../support/patience.ts'
import { overflow, violations } from '../support/console.ts'
import { isPostgres } from '../support/database.ts'

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
  page.setDefaultTimeout(patience_ms)
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

// The programs know of no database: once is enough.
describe.skipIf(isPostgres)('reports in a real browser', () => {
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

  describe('a backtest’s page', () => {
    let file = ''
    beforeAll(async () => {
      if (noBrowser !== null) return
      const out = await ran('berth_backtest', {
        data: { ...data, start: '2013-01-01' },
        strategy: { name: 'sma_cross' },
        parameters: { fast: { values: [5, 10] }, slow: { values: [20, 40, 60] } },
        execution: { direction: 'both' },
        benchmark: 'equal_weight',
        validation: { method: 'walk_forward', folds: 3 },
      })
      file = join(out, 'tearsheet.html')
    })

    test('has no error, asks nothing of the network, and passes axe in both themes and on a phone', async () => {
      const browser = await openBrowser()
      try {
        const context = await browser.newContext({ reducedMotion: 'reduce', colorScheme: 'light' })
        const page = await context.newPage()
        const { wrong, asked } = await opened(page, file)
        expect(await page.title()).toBe('sma_cross, AAPL, JPM, KO, MSFT, PG and 1 more')
        const first = await page.locator('section h2').first().textContent()
        expect(first).toBe('Before you trust this')
        const faults = await violations(page)
        await page.getByRole('button', { name: 'Switch to dark colours' }).click()
        const shade = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
        const dark = await shade()
        faults.push(...(await violations(page)))
        await page.setViewportSize({ width: 360, height: 780 })
        faults.push(...(await violations(page)))
        expect(await overflow(page)).toBeLessThanOrEqual(0)
        await page.getByRole('button', { name: 'Switch to light colours' }).click()
        expect(await shade()).not.toBe(dark)
        // The reader's system chooses until the switch is used.
        await page.emulateMedia({ colorScheme: 'dark' })
        await page.reload()
        expect(await shade()).toBe(dark)
        // Paper is light whatever the screen is.
        await page.emulateMedia({ media: 'print' })
        expect(await shade()).toBe('rgb(255, 255, 255)')
        expect({ faults, wrong, asked }).toEqual({ faults: [], wrong: [], asked: [] })
        expect(statSync(file).size).toBeLessThan(1_000_000)
      } finally {
        await browser.close()
      }
    })

    test('reads values out and zooms by pointer and keys, and shows everything without a script', async () => {
      const browser = await openBrowser()
      try {
        const page = await browser.newPage({ viewport: { width: 1_000, height: 1_000 } })
        const { wrong } = await opened(page, file)
        const field = page.getByRole('group', { name: /^Equity:/ }).first()
        const date = page.locator('figure[data-curve=equity] time')
        const ends = () => page.locator('figure[data-curve=sharpe] .xs span').allTextContents()
        const [whole, last] = [await ends(), (await date.textContent()) ?? '']
        await field.hover()
        const middle = (await date.textContent()) ?? ''
        expect(middle > (whole[0] ?? '') && middle < last).toBe(true)
        // The other curves are read at the same date.
        expect(await page.locator('figure[data-curve=exposure] time').textContent()).toBe(middle)
        await field.focus()
        await page.keyboard.press('Home')
        expect(await date.textContent()).toBe(whole[0])
        await page.keyboard.press('ArrowRight')
        expect((await date.textContent()) ?? '').not.toBe(whole[0])
        await page.keyboard.press('Home')
        await page.keyboard.press('+')
        const near = await ends()
        expect([near[0], near.at(-1) === last]).toEqual([whole[0], false])
        await page.keyboard.press('Escape')
        expect(await ends()).toEqual(whole)
        const box = await field.boundingBox()
        if (box === null) throw new Error('the curve has no place on the page')
        await page.mouse.move(box.x + box.width / 2, box.y + 50)
        await page.mouse.down()
        await page.mouse.move(box.x + (box.width * 3) / 4, box.y + 50)
        await page.mouse.up()
        const dragged = await ends()
        expect(dragged[0]! > whole[0]! && dragged.at(-1)! < last).toBe(true)
        await page.getByRole('button', { name: 'All' }).click()
        const path = () => page.locator('figure[data-curve=equity] path.series').getAttribute('d')
        const linear = await path()
        await page.getByRole('button', { name: 'Log scale' }).click()
        expect(await path()).not.toBe(linear)
        const map = page.getByRole('group', { name: 'sharpe by fast and slow: arrow keys read values' })
        await map.focus()
        await page.keyboard.press('ArrowDown')
        await page.keyboard.press('ArrowRight')
        expect(await page.locator('figure.surface output').textContent()).toMatch(/^fast 10, slow 40: -?\d/)
        await page.getByRole('button', { name: 'Of the whole' }).click()
        const parts = await page.locator('#symbols tbody td:nth-child(3)').allTextContents()
        expect(parts.map(parseFloat)).toEqual(parts.map(parseFloat).toSorted((a, b) => a - b))
        expect(wrong).toEqual([])
        const plain = await browser.newContext({ javaScriptEnabled: false })
        const still = await plain.newPage()
        still.setDefaultTimeout(patience_ms)
        await still.goto(pathToFileURL(file).href)
        expect(await still.locator('figure[data-curve=equity] path.series').getAttribute('d')).toMatch(
          /^M0\.0 /,
        )
        await still.getByText('Beside equal_weight').waitFor()
      } finally {
        await browser.close()
      }
    })
  })
})
