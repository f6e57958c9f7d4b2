// The console as a person uses it, in a real browser, against a real server with programs that run on this machine.
import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { noBrowser, openBrowser } from '../support/browser.ts'
import { type Opened, openPage, overflow, violations } from '../support/console.ts'
import type { Desk } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

const small = { cpu: 1, memory_gib: 1, disk_gib: 1 }
const sweep = {
  kind: 'backtest',
  params: {
    data: { dataset: 'sample:sp500-20', symbols: ['AAPL', 'MSFT'], start: '2016-01-01', end: '2017-12-31' },
    strategy: { name: 'sma_cross' },
    parameters: { fast: { values: [5, 10] }, slow: { values: [50, 100] } },
    execution: { fill: 'next_close' },
  },
  resources: small,
  labels: { desk: 'alpha' },
}
/** So many points that it is at work until somebody ends it. */
const long = {
  ...sweep,
  cache: false,
  params: {
    ...sweep.params,
    data: { dataset: 'sample:sp500-20' },
    parameters: { fast: { range: [2, 400, 1] }, slow: { range: [20, 900, 1] } },
  },
}
/** Waits for a machine that nobody has. */
const waiting = { ...sweep, name: 'waits', resources: { device: 'cuda', gpu: { models: ['H100'] } } }

describe.skipIf(noBrowser !== null)('the console', () => {
  let browser: Browser
  let desk: Desk
  let ended: string

  beforeAll(async () => {
    ;[browser, desk] = await Promise.all([openBrowser(), openMigratedDesk({ BERTH_LOCAL_SLOTS: '2' })])
    ended = (await desk.submit({ ...sweep, name: 'a sweep' })).id
    await desk.submit(waiting)
    await desk.ended(ended)
  })
  afterAll(async () => {
    await browser?.close()
    await desk?.[Symbol.asyncDispose]()
  })

  const open = async (path: string, viewer: { theme?: 'dark'; language?: string } = {}): Promise<Opened> => {
    const { url, key } = desk.server()
    const opened = await openPage(browser, { url, key, ...viewer })
    await opened.page.goto(path)
    return opened
  }
  const shows = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()
  /** `asked`: a refusal that the test asked for, which browsers tell of by themselves. */
  const close = async ({ page, wrong }: Opened, asked = /$^/) => {
    await page.context().close()
    expect(wrong.filter((text) => !asked.test(text))).toEqual([])
  }

  /** Two keys that come too late after one another lead nowhere: they are pressed again. */
  const go = async (page: Page, key: string, there: Locator) => {
    do {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
    } while (
      !(await there.waitFor({ timeout: 5_000 }).then(
        () => true,
        () => false,
      ))
    )
  }

  test('every page passes axe in both themes, fits a phone, and tells the console of no error', async () => {
    const opened = await open('/')
    const { page } = opened
    const tabs = ['timeline', 'log', 'explain', 'files', 'spec', 'deliveries']
    const pages = [
      '/',
      '/jobs',
      '/new',
      '/start',
      '/datasets',
      '/accounts',
      '/accounts/add',
      '/accounts/local/local',
      '/offers',
      '/gpus',
      '/orphans',
      '/limits',
      '/usage',
      '/keys',
      '/members',
      '/webhooks',
      '/secrets',
      '/policy',
      '/audit',
      '/settings',
      '/nowhere',
      ...tabs.map((tab) => `/jobs/${ended}?tab=${tab}`),
    ]
    for (const path of pages) {
      await page.goto(path)
      await page.locator('main h1, main h2').first().waitFor()
      await page.locator('[aria-label=Loading]').first().waitFor({ state: 'detached' })
      expect.soft([path, 'light', await violations(page)]).toEqual([path, 'light', []])
      await page.keyboard.press('t')
      await page.locator('html[data-theme=dark]').waitFor()
      expect.soft([path, 'dark', await violations(page)]).toEqual([path, 'dark', []])
      await page.keyboard.press('t')
      await page.setViewportSize({ width: 360, height: 740 })
      expect.soft([path, await overflow(page)]).toEqual([path, 0])
      await page.setViewportSize({ width: 1_280, height: 800 })
    }
    await close(opened)
  })

  test('a theme is whole at once where motion is reduced', async () => {
    const opened = await open('/jobs')
    await shows(opened.page, 'a sweep')
    const [before, after] = (await opened.page.evaluate(`(() => {
      const shown = [...document.querySelectorAll('main *')]
      const colours = () => shown.map((each) => getComputedStyle(each).color)
      const before = colours()
      document.documentElement.dataset.theme = 'dark'
      return [before, colours()]
    })()`)) as [string[], string[]]
    expect(before.length).toBeGreaterThan(20)
    expect(after.filter((colour, at) => colour === before[at])).toEqual([])
    await close(opened)
  })

  test('who has no key is asked for one, and a wrong one is told', async () => {
    const { url, key } = desk.server()
    const { page } = await openPage(browser, { url, key: null })
    await page.goto('/jobs?state=failed')
    expect(await violations(page)).toEqual([])
    await page.getByLabel('API key', { exact: true }).last().fill('brt_wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await shows(page, /works nowhere here/)
    await page.getByRole('textbox', { name: 'API key' }).fill(key)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await shows(page, 'No job fits these filters')
    // A key is in no address, and kept for this tab alone.
    expect(page.url()).toMatch(/\/jobs\?state=failed$/)
    expect(await page.evaluate(`localStorage.getItem('berth.key')`)).toBeNull()
    await page.context().close()
  })

  test('a key in a fragment signs in once, and is taken out of the address', async () => {
    const { url, key } = desk.server()
    const opened = await openPage(browser, { url, key: null })
    await opened.page.goto(`/#key=${key}`)
    await shows(opened.page, 'Why jobs wait')
    expect(opened.page.url()).toBe(`${url}/`)
    await close(opened)
  })

  test('a job is submitted from the form and followed to its result, with its log', async () => {
    const opened = await open('/new')
    const { page } = opened
    await shows(page, /^About \$/)
    // What the API says of a field stands at the field.
    await page.getByLabel('name', { exact: true }).first().fill('from the console')
    await page.getByLabel('budget_usd').fill('-1')
    await shows(page, 'What the API says')
    await page.getByLabel('budget_usd').fill('2')
    await shows(page, /^About \$/)
    await page.getByRole('button', { name: 'Submit' }).click()
    await page.getByRole('heading', { name: 'from the console' }).waitFor()
    await page.getByRole('main').getByText('Succeeded').first().waitFor()
    await page.getByRole('tab', { name: 'Log' }).click()
    await shows(page, /parameter sets/)
    await shows(page, /complete/)
    await close(opened, /status of 422/)
  })

  test('the first page runs a job to its best point, with what luck makes of it', async () => {
    const opened = await open('/start')
    const { page } = opened
    await page.getByRole('button', { name: 'Run it' }).click()
    await page.getByText('Deflated Sharpe').waitFor()
    expect(await violations(page)).toEqual([])
    await page.getByRole('link', { name: 'Open the result' }).click()
    await page.getByRole('heading', { name: 'sma cross' }).waitFor()
    await close(opened)
  })

  test('filters are in the address and outlive a reload', async () => {
    const opened = await open('/jobs')
    const { page } = opened
    await page.getByLabel('State').first().selectOption('succeeded')
    await page.getByLabel('Label, as name:value').fill('desk:alpha')
    await page.waitForURL(/label=desk/)
    await page.reload()
    expect(await page.getByLabel('State').first().inputValue()).toBe('succeeded')
    await page.getByRole('link', { name: 'a sweep' }).waitFor()
    expect(await page.getByRole('link', { name: 'waits' }).count()).toBe(0)
    await close(opened)
  })

  test('what runs shows its state and log as they come, and is cancelled from its page', async () => {
    const opened = await open('/jobs')
    const { page } = opened
    await page.getByRole('link', { name: 'a sweep' }).waitFor()
    const { id } = await desk.submit({ ...long, name: 'at work' })
    const row = page.getByRole('row').filter({ hasText: 'at work' })
    await row.getByText('Running').waitFor()
    await row.getByRole('link', { name: 'at work' }).click()
    await page.getByRole('tab', { name: 'Log' }).click()
    await shows(page, /kernel ready/)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('main').getByText('Cancelled').first().waitFor()
    expect((await desk.ended(id)).state).toBe('cancelled')
    await close(opened)
  })

  test('an account is added with the guide, tested and drained', async () => {
    const opened = await open('/accounts/add')
    const { page } = opened
    await page.getByLabel('Provider').selectOption('kubernetes')
    await shows(page, /kind: Role/)
    await page.getByLabel('Provider').selectOption('containers')
    await page.getByLabel('Name of the account').fill('engine')
    await page.getByLabel('socket').fill('/nonexistent/engine.sock')
    await page.getByRole('button', { name: 'Add and test' }).click()
    await page.getByRole('heading', { name: 'containers engine' }).waitFor()
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByRole('menuitem', { name: 'Drain' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click()
    await page.getByRole('main').getByText('draining').waitFor()
    const { items } = await desk.get<{ items: { account: string; draining: boolean }[] }>(
      '/v1/provider-accounts',
    )
    expect(items.find(({ account }) => account === 'engine')?.draining).toBe(true)
    await close(opened)
  })

  test('the keyboard goes everywhere, and nowhere while somebody types', async () => {
    const opened = await open('/jobs')
    const { page } = opened
    await page.getByRole('link', { name: 'a sweep' }).waitFor()
    await go(page, 'u', page.getByRole('heading', { name: 'Usage and budgets' }))
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog').getByRole('combobox').waitFor()
    await page.keyboard.type('settings')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Settings' }).waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await go(page, 'j', page.getByRole('link', { name: 'a sweep' }))
    await page.keyboard.press('/')
    await page.keyboard.type('gu')
    expect(await page.getByLabel('Label, as name:value').inputValue()).toBe('gu')
    await close(opened)
  })

  test('in Chinese every page speaks Chinese', async () => {
    const opened = await open('/jobs', { language: 'zh-CN' })
    const { page } = opened
    await page.getByRole('heading', { name: '任务' }).waitFor()
    expect(await page.locator('html').getAttribute('lang')).toBe('zh-CN')
    expect(await violations(page)).toEqual([])
    // On a phone words in a table stay whole: else this cell has four lines.
    await page.setViewportSize({ width: 360, height: 740 })
    await page.goto('/accounts')
    const cell = page.getByRole('cell', { name: '由环境变量设置' })
    expect((await cell.boundingBox())?.height).toBeLessThan(60)
    expect(await overflow(page)).toBe(0)
    await page.goto(`/jobs/${ended}?tab=explain`)
    await shows(page, '成功 The job has succeeded.')
    await close(opened)
  })

  test('a server that is restarted under an open page is found again', async () => {
    const { page } = await open('/jobs')
    await page.getByRole('link', { name: 'a sweep' }).waitFor()
    await desk.restart()
    await page.getByRole('status').getByText('Live').first().waitFor({ state: 'attached' })
    await desk.submit({ ...waiting, name: 'after the restart' })
    await page.getByRole('link', { name: 'after the restart' }).waitFor()
    await page.context().close()
  })
})
