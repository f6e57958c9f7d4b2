import { expect, inject, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { createDraw } from '../simulation/draw.ts'
import { isPostgres } from '../support/database.ts'
import { type Desk, openDesk, realBacktest } from '../support/desk.ts'
import { createFleetDatabase } from '../support/fleet.ts'
import { openWitness } from '../support/witness.ts'

const seed = 'load'
const jobs = 48
/** Enough that most of the time a dozen run and as many wait. */
const slots = 12
const clients = 6
const kills = 6
/** A server lives this long: a dozen jobs are launched and finished in it. */
const life_ms = [300, 2_500] as const

test(
  `kill -9 of the server, ${kills} times, while ${jobs} jobs come and run: none is lost, none runs twice`,
  { timeout: 240_000 },
  async () => {
    await using witness = openWitness()
    await using desk = await openDesk({
      BERTH_PYTHON: witness.python,
      BERTH_LOCAL_SLOTS: String(slots),
      ...(isPostgres
        ? {
            BERTH_DATABASE_URL: await createFleetDatabase(inject('postgres_url')),
            BERTH_LOCAL_PROVIDER: 'true',
          }
        : {}),
    })
    const draw = createDraw(seed)
    const accepted = submitAll(desk)
    for (let kill = 0; kill < kills; kill++) {
      await new Promise((resolve) => setTimeout(resolve, draw.between(...life_ms)))
      await desk.restart()
    }
    const ended: JobView[] = []
    for (const id of await accepted) ended.push(await desk.ended(id))

    expect(ended.map(({ state, attempts }) => [state, attempts.length])).toEqual(
      Array.from({ length: jobs }, () => ['succeeded', 1]),
    )
    expect(ended.map(({ result }) => result)).toEqual(Array.from({ length: jobs }, (_, job) => ({ job })))
    // What ran, as the programs themselves wrote it down.
    const numbers = Array.from({ length: jobs }, (_, job) => job)
    expect(witness.saw('began')).toEqual(numbers)
    expect(witness.saw('ended')).toEqual(numbers)
    expect(desk.runners()).toEqual([])
  },
)

/** Clients that send again what was not answered, under the same key. */
async function submitAll(desk: Desk): Promise<string[]> {
  const ids: string[] = []
  let next = 0
  const client = async () => {
    for (let job = next++; job < jobs; job = next++) {
      const spec = realBacktest({ resources: { cpu: 1 } })
      Object.assign(spec.params, { parameters: { fast: job + 1, slow: 500 } })
      await desk.until(async () => {
        const id = await submit(desk, JSON.stringify(spec), `job ${job}`)
        if (id !== null) ids[job] = id
        return id !== null
      })
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return ids
}

async function submit(desk: Desk, body: string, key: string): Promise<string | null> {
  try {
    const headers = { 'idempotency-key': key }
    const answer = await desk.request('/v1/jobs', { method: 'POST', body, headers })
    return answer.ok ? ((await answer.json()) as JobView).id : null
  } catch {
    return null
  }
}
