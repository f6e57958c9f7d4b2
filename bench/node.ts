// `npm run bench -- node`: twenty backtests and three trainings at once on one machine, with limits set so. All must run at the same time, and end well.
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { JobView } from '../jobs/view.ts'
import { openDesk, realBacktest } from '../test/support/desk.ts'
import { type Measurement, option, rounded } from './measurement.ts'

const look_ms = 100
/** On two cores each has an eleventh of one. */
const job_ms = 900_000

export const measure: Measurement = async (options) => {
  const backtests = option(options, 'backtests', 20)
  const trainings = option(options, 'trainings', 3)
  const all = backtests + trainings
  await using desk = await openDesk({ BERTH_LOCAL_SLOTS: String(all) })
  const limits = {
    'backtest/cpu_core': Math.ceil(backtests / availableParallelism()),
    'training/cpu': trainings,
  }
  for (const [key, max_running] of Object.entries(limits)) {
    const body = JSON.stringify({ scope: 'device', key, max_running })
    const answer = await desk.request('/v1/limits', { method: 'PUT', body })
    if (!answer.ok) throw new Error(`the limit ${key} was not set: ${await answer.text()}`)
  }
  const began = performance.now()
  const ids = [
    ...(await Promise.all(Array.from({ length: trainings }, (_, n) => desk.submit(training(n))))),
    ...(await Promise.all(Array.from({ length: backtests }, () => desk.submit(longBacktest)))),
  ].map(({ id }) => id)
  let most = 0
  const watching = new AbortController()
  const watched = watch(async () => {
    const { items } = await desk.get<{ items: JobView[] }>(`/v1/jobs?state=running&limit=${2 * all}`)
    most = Math.max(most, items.length)
  }, watching.signal)
  const ended: JobView[] = []
  try {
    for (const id of ids) ended.push(await desk.ended(id, job_ms))
  } finally {
    watching.abort()
    await watched
  }
  return {
    figures: {
      backtests,
      trainings,
      running_at_once: most,
      succeeded: ended.filter(({ state }) => state === 'succeeded').length,
      attempts: ended.reduce((sum, job) => sum + job.attempts.length, 0),
      seconds: rounded((performance.now() - began) / 1_000, 1),
    },
    targets: {
      running_at_once: { at_least: all },
      succeeded: { at_least: all },
      attempts: { at_most: all },
    },
  }
}

async function watch(look: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await look()
    await sleep(look_ms)
  }
}

/** Some seconds of a core, so that the first is at work when the last begins. */
const longBacktest = realBacktest({
  resources: { cpu: 1 },
  params: {
    ...realBacktest().params,
    data: { dataset: 'sample:sp500-20' },
    parameters: { fast: { range: [2, 40, 1] }, slow: { range: [5, 200, 5] } },
  },
})

const training = (seed: number) => ({
  kind: 'training',
  cache: false,
  resources: { cpu: 1 },
  params: {
    data: { dataset: 'sample:sp500-20' },
    features: [{ name: 'rank', of: { name: 'ret', lags: [1, 5, 20, 60, 250] } }],
    target: { name: 'forward_return', horizon: 5 },
    model: { name: 'xgboost', params: { n_estimators: 100, max_depth: 4 } },
    validation: { method: 'walk_forward', folds: 5 },
    seed,
  },
})
