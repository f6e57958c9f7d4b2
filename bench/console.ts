// `npm run bench -- console [--jobs 100000] [--lines 1000000]`: what the console costs a browser, on the embedded database: the first
// load, long tasks while a hundred thousand jobs are scrolled through, a change of state, and a log of a million lines.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { migrate, openDatabase } from '../infra/db.ts'
import { topics } from '../jobs/deps.ts'
import { openBrowser } from '../test/support/browser.ts'
import { openPage, serveWorld } from '../test/support/console.ts'
import { fillJobs } from '../test/support/many-jobs.ts'
import { backtest, openTestWorld, type World } from '../test/support/world.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'

/** Jobs whose change of state is looked at. */
const changes = 20
/** What a runner sends at most in one chunk. */
const chunk_bytes = 256 * 1024

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 100_000)
  const lines = option(options, 'lines', 1_000_000)
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const opened = await openDatabase({ database_url: null, data_dir: folder })
  await migrate(opened.db)
  await using world = await openTestWorld(opened)
  for (const offer of world.model.offers) offer.slots = null
  world.deps.settings.max_queued = 1_000_000
  await using served = await serveWorld(world)
  const browser = await openBrowser()
  try {
    const { project_id } = world
    const now = world.deps.clock.now()
    // Of few jobs, before there are many whose turn comes first.
    const change_ms = await changed(browser, served.url, world)
    await fillJobs(world.deps.db, { project_id, jobs, now })
    const load = await firstLoad(browser, served.url, world.key)
    const scroll = await scrolled(browser, served.url, world.key, jobs)
    const log = await openedLog(browser, served.url, world, lines)
    return {
      figures: {
        script_gzip_kb: rounded(load.script_bytes / 1_000, 1),
        style_gzip_kb: rounded(load.style_bytes / 1_000, 1),
        jobs: scroll.rows,
        scroll_s: rounded(scroll.taken_ms / 1_000, 1),
        longest_task_ms: rounded(scroll.longest_ms, 0),
        tasks_over_50_ms: scroll.long_tasks,
        change_p50_ms: rounded(percentile(change_ms, 0.5), 0),
        change_longest_ms: rounded(Math.max(...change_ms), 0),
        log_lines: log.lines,
        log_open_ms: rounded(log.open_ms, 0),
        log_whole_s: rounded(log.whole_ms / 1_000, 1),
        log_longest_task_ms: rounded(log.longest_ms, 0),
      },
      targets: {
        script_gzip_kb: { at_most: 200 },
        longest_task_ms: { at_most: 50 },
        change_longest_ms: { at_most: 300 },
        log_open_ms: { at_most: 1_000 },
      },
    }
  } finally {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Bytes as they are sent, of all scripts that the list needs. */
async function firstLoad(browser: Browser, url: string, key: string) {
  const { page } = await openPage(browser, { url, key })
  const sizes = { script_bytes: 0, style_bytes: 0 }
  page.on('response', (answer) => {
    const bytes = Number(answer.headers()['content-length'] ?? 0)
    if (answer.url().endsWith('.js')) sizes.script_bytes += bytes
    if (answer.url().endsWith('.css')) sizes.style_bytes += bytes
  })
  await page.goto('/jobs')
  await page.getByRole('row').nth(5).waitFor()
  await page.context().close()
  return sizes
}

/** Tasks of the main thread that took longer than 50 ms since the page was opened. */
const watchTasks = `window.tasks = []; new PerformanceObserver((list) => {
  for (const each of list.getEntries()) window.tasks.push(each.duration) }).observe({ type: 'longtask' })`
const longTasks = async (page: Page) => (await page.evaluate('window.tasks')) as number[]

async function scrolled(browser: Browser, url: string, key: string, jobs: number) {
  const { page } = await openPage(browser, { url, key })
  await page.goto('/jobs')
  await page.getByRole('row').nth(5).waitFor()
  await page.evaluate(watchTasks)
  const from_ms = performance.now()
  // As a wheel does, frame by frame; at the end of what is read it waits for more.
  const rows = (await page.evaluate(`new Promise((done) => {
    const box = document.querySelector('main [role=region][tabindex]')
    const count = () => Number(box.querySelector('[role=table]').getAttribute('aria-rowcount')) - 1
    let still = 0
    const step = () => {
      const before = box.scrollTop
      box.scrollTop += 360
      still = box.scrollTop === before ? still + 1 : 0
      if (count() >= ${jobs} && still > 5) done(count())
      else if (still > 1200) done(count())
      else requestAnimationFrame(step)
    }
    step()
  })`)) as number
  const taken_ms = performance.now() - from_ms
  const tasks = await longTasks(page)
  await page.context().close()
  return { rows, taken_ms, longest_ms: Math.max(0, ...tasks), long_tasks: tasks.length }
}

/** From the commit of what a job became until the row of an open page says so. */
async function changed(browser: Browser, url: string, world: World): Promise<number[]> {
  const { page } = await openPage(browser, { url, key: world.key })
  await page.goto('/jobs')
  // Whoever has committed a change wakes those who wait for the job.
  let topic = ''
  let committed: number | null = null
  const { waker } = world.deps
  const { wake } = waker
  waker.wake = (woken) => {
    if (woken === topic) committed ??= performance.timeOrigin + performance.now()
    wake(woken)
  }
  const samples: number[] = []
  for (let n = 0; n < changes; n++) {
    const name = `change ${n}`
    const answer = await world.request('POST', '/v1/jobs', { body: backtest({ name }) })
    topic = topics.job(((await answer.json()) as { id: string }).id)
    const row = page.getByRole('row').filter({ hasText: name })
    await row.getByText('Queued').waitFor()
    // In place before anything changes: a promise that waits in the page.
    await page.evaluate(`{
      const { promise, resolve } = Promise.withResolvers()
      window.seen = promise
      const look = () => {
        const row = [...document.querySelectorAll('[role=row]')].find((row) => row.textContent.includes('${name}back'))
        if (!row?.textContent.includes('Scheduled')) return
        watch.disconnect()
        resolve(performance.timeOrigin + performance.now())
      }
      const watch = new MutationObserver(look)
      watch.observe(document.body, { subtree: true, childList: true, characterData: true })
    }`)
    committed = null
    await world.pass()
    const seen = (await page.evaluate('window.seen')) as number
    samples.push(seen - (committed ?? Number.NaN))
  }
  await page.context().close()
  return samples
}

async function openedLog(browser: Browser, url: string, world: World, lines: number) {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest({ name: 'talks' }) })
  const { id } = (await answer.json()) as { id: string }
  await world.pass()
  await fillLog(world, id, lines)
  const { page } = await openPage(browser, { url, key: world.key })
  await page.goto(`/jobs/${id}?tab=timeline`)
  await page.getByRole('tab', { name: 'Log' }).waitFor()
  await page.evaluate(watchTasks)
  const from_ms = performance.now()
  await page.getByRole('tab', { name: 'Log' }).click()
  await page
    .getByText(/^line \d+ /)
    .first()
    .waitFor()
  const open_ms = performance.now() - from_ms
  const shown = new Intl.NumberFormat('en').format(lines)
  await page.getByText(`${shown} lines`).waitFor({ timeout: 240_000 })
  const whole_ms = performance.now() - from_ms
  const tasks = await longTasks(page)
  await page.context().close()
  return { lines, open_ms, whole_ms, longest_ms: Math.max(0, ...tasks) }
}

/** A log as a runner has sent it, in whole chunks. */
async function fillLog(world: World, job_id: string, lines: number): Promise<void> {
  const { db, clock } = world.deps
  const attempt = await db
    .selectFrom('attempts')
    .selectAll()
    .where('job_id', '=', job_id)
    .executeTakeFirstOrThrow()
  const { id: attempt_id, project_id, created_at: partition_at } = attempt
  let text = ''
  let number = 0
  const store = async () => {
    number++
    const at = clock.now()
    const row = { project_id, job_id, attempt_id, number, at, stream: 'stdout' as const, text, partition_at }
    await db.insertInto('log_chunks').values(row).execute()
    text = ''
  }
  for (let n = 1; n <= lines; n++) {
    text += `line ${n} ${(n * 2654435761).toString(36)} loss=0.0${n % 97}\n`
    if (text.length > chunk_bytes - 100) await store()
  }
  if (text !== '') await store()
}
