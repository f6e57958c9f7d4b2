// `npm run bench -- cache`: the share of a desk's jobs that are given a result instead of being run, on a repeated
// workload (bench/workloads/desk-day.json), in virtual time.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, openDatabase } from '../infra/db.ts'
import { backtest, openTestWorld, type World } from '../test/support/world.ts'
import { type Measurement, rounded } from './measurement.ts'

/** When each job comes, in seconds from the start of the day, and which of the day's specs it is. */
interface Workload {
  about: string
  submits: readonly (readonly [at_s: number, spec: number])[]
}
/** What a job takes, from its launch to its report. */
const run_s = 90
/** How often virtual time stands still for passes. */
const step_s = 15

export const measure: Measurement = async () => {
  const file = join(import.meta.dirname, 'workloads', 'desk-day.json')
  const { submits } = JSON.parse(readFileSync(file, 'utf8')) as Workload
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const opened = await openDatabase({ database_url: null, data_dir: folder })
  await migrate(opened.db)
  await using world = await openTestWorld(opened)
  Object.assign(world.deps.settings, { program_version: () => 'measured', max_queued: 10_000 })
  for (const offer of world.model.offers) offer.slots = null
  const due = submits.toSorted(([a], [b]) => a - b).values()
  const started = new Map<string, number>()
  let [next, now_s] = [due.next(), 0]
  for (; !next.done || started.size < world.model.machines.size; now_s += step_s) {
    for (; !next.done && next.value[0] <= now_s; next = due.next()) await submit(world, next.value[1])
    await world.settle(2)
    await work(world, started, now_s)
    world.advance(step_s)
  }
  await world.settle(4)
  const jobs = await world.deps.db.selectFrom('jobs').select(['cached_from', 'follows', 'state']).execute()
  rmSync(folder, { recursive: true, force: true })
  const given = jobs.filter(({ cached_from }) => cached_from !== null)
  return {
    figures: {
      jobs: jobs.length,
      specs: new Set(submits.map(([, spec]) => spec)).size,
      runs: world.model.machines.size,
      given: given.length,
      of_those_waited_for_a_run: given.filter(({ follows }) => follows !== null).length,
      unfinished: jobs.filter(({ state }) => state !== 'succeeded').length,
      hit_rate: rounded(given.length / jobs.length, 3),
    },
    targets: { hit_rate: { at_least: 0.8 }, unfinished: { at_most: 0 } },
  }
}

async function submit(world: World, spec: number): Promise<void> {
  const body = backtest({ params: { ...backtest().params, parameters: { fast: spec + 1, slow: 500 } } })
  const answer = await world.request('POST', '/v1/jobs', { body })
  if (answer.status !== 201) throw new Error(`a submit answered ${answer.status}: ${await answer.text()}`)
}

/** Runners of the machines: they start when their machine is there, and report a while later. */
async function work(world: World, started: Map<string, number>, now_s: number): Promise<void> {
  for (const [id, { token, seen }] of world.model.machines) {
    if (seen.state !== 'running') continue
    const report = (body: object) => world.request('POST', `/v1/attempts/${id}/report`, { key: token, body })
    const since_s = started.get(id)
    if (since_s === undefined) {
      started.set(id, now_s)
      await report({ type: 'started', instance: id })
    } else if (now_s - since_s >= run_s) {
      await report({ type: 'finished', exit_code: 0, failure: null, result: { best: id } })
      Object.assign(seen, { state: 'exited', exit_code: 0 })
    }
  }
}
