// `npm run screenshots`: the pictures of the README, into docs/images/: real jobs on this machine, and offers as clouds make them.
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import type { Offer } from '../../providers/provider.ts'
import { openBrowser } from '../../test/support/browser.ts'
import { openPage, serveWorld } from '../../test/support/console.ts'
import { type Desk, openDesk } from '../../test/support/desk.ts'
import { migrate, openDatabase } from '../../infra/db.ts'
import { openTestWorld } from '../../test/support/world.ts'

const folder = join(import.meta.dirname, '..', '..', 'docs', 'images')
const size = { width: 1_360, height: 850 }
/** A README is read over slow lines too. */
const most_bytes = 200_000
/** For what moves to have come to rest, charts among it. */
const rest_ms = 3_000

type Theme = 'light' | 'dark'

const years = { start: '2010-01-01', end: '2019-12-31' }
const costs = { fill: 'next_close', fee_bps: 10, slippage_bps: 5 }
const resources = { cpu: 1, memory_gib: 1, disk_gib: 1 }
const backtest = (name: string, params: object, more: object = {}) => ({
  kind: 'backtest',
  name,
  cache: false,
  params: { data: { dataset: 'sample:sp500-20', ...years }, execution: costs, ...params },
  resources,
  ...more,
})
const cross = {
  strategy: { name: 'sma_cross' },
  benchmark: 'equal_weight',
  parameters: { fast: { range: [5, 50, 5] }, slow: { range: [20, 240, 10] } },
}
const jobs = [
  backtest('sma cross, twenty large caps', cross, { labels: { desk: 'alpha', study: 'trend' } }),
  backtest(
    'rsi mean reversion',
    {
      strategy: { name: 'rsi' },
      parameters: {
        window: { values: [7, 14, 21] },
        lower: { values: [20, 30] },
        upper: { values: [60, 70] },
      },
    },
    { labels: { desk: 'alpha' } },
  ),
  backtest(
    'own strategy, first try',
    {
      strategy: { source: 'class Mine:\n    def decide(self, bar):\n        return 1\n', class: 'Mine' },
      parameters: {},
    },
    { labels: { desk: 'beta' } },
  ),
  backtest(
    'donchian on eight H100',
    { strategy: { name: 'donchian' }, parameters: { window: { values: [20, 55] } } },
    {
      resources: { device: 'cuda', gpu: { models: ['H100'], count: 8 } },
      labels: { desk: 'alpha' },
    },
  ),
]
/** At work while the pictures are taken. */
const wide = backtest(
  'wide sweep',
  { ...cross, parameters: { fast: { range: [2, 300, 1] }, slow: { range: [20, 600, 1] } } },
  { labels: { desk: 'alpha', study: 'trend' } },
)

async function take(
  browser: Browser,
  of: { url: string; key: string },
  shots: readonly [string, string, Theme][],
) {
  for (const [name, path, theme] of shots) {
    const { page } = await openPage(browser, { ...of, theme, size })
    await page.goto(path)
    await page.locator('main h1').first().waitFor()
    await page.locator('[aria-label=Loading]').first().waitFor({ state: 'detached' })
    await new Promise((done) => setTimeout(done, rest_ms))
    await shoot(page, name)
  }
}

async function shoot(page: Page, name: string) {
  const file = join(folder, `${name}.png`)
  await page.screenshot({ path: file })
  await page.context().close()
  const { size: bytes } = statSync(file)
  console.log(`${name}.png ${Math.round(bytes / 1_000)} kB`)
  if (bytes > most_bytes) throw new Error(`${file} is larger than ${most_bytes} bytes`)
}

/** A file of a job, opened from the disk as people do. */
async function ofFile(browser: Browser, desk: Desk, id: string, name: string) {
  const file = join(desk.folder, name)
  const answer = await desk.request(`/v1/jobs/${id}/artifacts/${name}`)
  writeFileSync(file, await answer.text())
  const context = await browser.newContext({ viewport: { ...size, height: 1_130 }, colorScheme: 'light' })
  const page = await context.newPage()
  await page.goto(pathToFileURL(file).href)
  await shoot(page, name.replace('.html', ''))
}

async function ofDesk(browser: Browser, desk: Desk) {
  await desk.request('/v1/budgets', {
    method: 'PUT',
    body: JSON.stringify({ scope: 'project', period: 'month', limit_usd: 250 }),
  })
  const [first, ...rest] = jobs
  const { id } = await desk.submit(first ?? {})
  for (const job of rest) await desk.submit(job)
  await desk.ended(id)
  const { id: at_work } = await desk.submit(wide)
  await desk.until(async () => (await desk.get<{ progress: number }>(`/v1/jobs/${at_work}`)).progress > 0.02)
  await ofFile(browser, desk, id, 'tearsheet.html')
  const { url, key } = desk.server()
  await take(browser, { url, key }, [
    ['overview', '/', 'dark'],
    ['jobs', '/jobs', 'light'],
    ['job', `/jobs/${at_work}?tab=log`, 'dark'],
    ['result', `/jobs/${id}`, 'light'],
    ['new-job', '/new', 'dark'],
  ])
  await desk.request(`/v1/jobs/${at_work}/cancel`, { method: 'POST' })
  await desk.ended(at_work)
}

/** What clouds may offer on a day: prices are examples. */
const gpus = [
  ['RTX 4090', 24, 0.34],
  ['L4', 24, 0.43],
  ['A10', 24, 0.75],
  ['L40S', 48, 0.79],
  ['A100', 80, 1.19],
  ['H100', 80, 1.99],
  ['H200', 141, 3.29],
] as const
const places = [
  ['runpod', 'desk', 'EU-RO-1', 1],
  ['kubernetes', 'cluster', 'on-premises', 1.1],
  ['aws', 'research', 'us-east-1', 1.6],
  ['tencent', 'shanghai', 'ap-shanghai', 1.25],
  ['alibaba', 'hangzhou', 'cn-hangzhou', 1.35],
] as const

function offers(): Offer[] {
  return gpus.flatMap(([model, memory_gib, usd], at) =>
    places
      .filter((_, n) => (n + at) % 3 !== 2)
      .map(([provider, account, region, factor], n): Offer => {
        const count = (at + n) % 4 === 3 ? 2 : 1
        return {
          id: `${model.toLowerCase().replaceAll(' ', '-')}-${count}`,
          provider,
          account,
          region,
          spot: (at + n) % 5 === 1,
          usd_per_hour: Number((usd * factor * count * ((at + n) % 5 === 1 ? 0.45 : 1)).toFixed(3)),
          gpu: { model, count, memory_gib, compute_capability: null },
          cpu: 8 * count,
          memory_gib: 32 * count,
          disk_gib: 100,
          available: provider === 'kubernetes' ? null : (at * 7 + n * 3) % 11,
          slots: provider === 'kubernetes' ? 4 : null,
        }
      }),
  )
}

mkdirSync(folder, { recursive: true })
const browser = await openBrowser()
try {
  const desk = await openDesk()
  try {
    await ofDesk(browser, desk)
  } finally {
    await desk[Symbol.asyncDispose]()
  }
  const opened = await openDatabase({ database_url: null, data_dir: join(desk.folder, 'offers') })
  await migrate(opened.db)
  await using world = await openTestWorld(opened)
  world.model.offers.splice(0, world.model.offers.length, ...offers())
  await using served = await serveWorld(world)
  await take(browser, { url: served.url, key: world.key }, [['offers', '/offers', 'light']])
} finally {
  await browser.close()
}
process.exit(0)
