import { createHash } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import { type Desk, realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'

const kills = 10
/** At work when the server is killed, each at another point of its life. */
const jobsOfKill = 2
const seed = 'kill'
/** A job of two symbols takes about this long from submit to webhook; kills fall anywhere in it. */
const within_ms = 2_500

// The database of these servers is the embedded one in either run; once is enough.
describe.skipIf(isPostgres)(`kill -9 of the server with ${jobsOfKill} jobs at work, ${kills} times`, () => {
  let desk: Desk
  beforeAll(async () => {
    desk = await openMigratedDesk({ BERTH_LOCAL_SLOTS: String(jobsOfKill) })
  })
  afterAll(async () => desk[Symbol.asyncDispose]())

  test.for(Array.from({ length: kills }, (_, kill) => kill))('kill %i', async (kill) => {
    const webhook = { url: desk.hook_url }
    const ages_ms = Array.from({ length: jobsOfKill }, (_, job) => moment(kill + job * kills))
    const oldestFirst = ages_ms.toSorted((a, b) => b - a)
    const ids: string[] = []
    for (const [job, age_ms] of oldestFirst.entries()) {
      ids.push((await desk.submit(realBacktest({ webhook }))).id)
      await new Promise((done) => setTimeout(done, age_ms - (oldestFirst[job + 1] ?? 0)))
    }
    await desk.restart()
    for (const id of ids) await checkEnd(id)
    expect(desk.runners()).toEqual([])
  })

  async function checkEnd(id: string): Promise<void> {
    const job = await desk.ended(id)
    expect(job).toMatchObject({ state: 'succeeded', outcome: 'succeeded', error: null })
    // Nothing ran twice: one attempt, and one first line of the program in its log.
    expect(job.attempts).toHaveLength(1)
    const log = await desk.log(id)
    const text = log.map((chunk) => chunk.text).join('')
    expect(text.match(/^berth_backtest .*reading/gm)).toHaveLength(1)
    // The log is whole: every number once, in order, from the first.
    expect(log.map(({ number }) => number)).toEqual(log.map((_, index) => index + 1))
    // One message, as often as it takes, verified by the reference library.
    const mine = () => desk.hooks.filter(({ body }) => body.includes(id))
    await desk.until(() => mine().length > 0)
    expect(new Set(mine().map((hook) => hook.id)).size).toBe(1)
    const { secret } = await desk.get<{ secret: string }>('/v1/webhooks/secret')
    const [hook] = mine()
    expect(new Webhook(secret).verify(hook?.body ?? '', hook?.headers ?? {})).toMatchObject({
      type: 'job.succeeded',
      data: { job: { id } },
    })
  }
})

/** How long after its submission a job's server is killed. */
function moment(kill: number): number {
  return (createHash('sha256').update(`${seed}/${kill}`).digest().readUInt32BE(0) / 2 ** 32) * within_ms
}
