// What runners say at one time is written together, and is to each as if it had been alone.
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** Launches a job, and speaks as its runner. */
async function launch(world: World) {
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  const [[attempt_id, { token }] = ['', { token: '' }]] = world.model.machines
  const say = (body: object, path = 'report') =>
    world.request('POST', `/v1/attempts/${attempt_id}/${path}`, { key: token, body })
  return {
    say,
    start: (instance = 'one') => say({ type: 'started', instance }),
    finish: (result: object | null) => say({ type: 'finished', exit_code: 0, failure: null, result }),
  }
}

const attempts = ({ deps }: World) => deps.db.selectFrom('attempts').selectAll().orderBy('id').execute()

describe('reports that come at once', () => {
  test('of two machines of one attempt one has bound it', async () => {
    await using world = await openTestWorld()
    const speaker = await launch(world)
    const answers = await Promise.all(['one', 'two'].map((instance) => speaker.start(instance)))
    expect(answers.map(({ status }) => status)).toEqual([200, 409])
    expect(await attempts(world)).toMatchObject([{ instance: 'one' }])
  })

  test('of one end that is sent twice one is written', async () => {
    await using world = await openTestWorld()
    const speaker = await launch(world)
    await speaker.start()
    const answers = await Promise.all([{ sharpe: 1 }, null].map((result) => speaker.finish(result)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(await attempts(world)).toMatchObject([{ finished: { result: { sharpe: 1 } } }])
  })
})

test('a report that no database holds is refused, and its attempt goes on', async () => {
  await using world = await openTestWorld()
  const { start, finish, say } = await launch(world)
  await start()
  const end = { type: 'finished', exit_code: 2 ** 40, failure: null, result: null }
  const chunk = { number: 2 ** 40, at: '2026-03-02T09:00:01Z', stream: 'stdout', text: 'x' }
  for (const [body, path, field] of [
    [end, 'report', 'exit_code'],
    [chunk, 'logs', 'number'],
  ] as const) {
    const answer = await say(body, path)
    expect([answer.status, await answer.json()]).toMatchObject([422, { errors: [{ path: field }] }])
  }
  expect((await finish({})).status).toBe(200)
  await world.settle()
  expect(await attempts(world)).toMatchObject([{ outcome: 'succeeded' }])
})

describe.skipIf(!isPostgres)('on PostgreSQL', () => {
  test('an end that waits for a commit which concludes the attempt is told that it is over', async () => {
    await using world = await openTestWorld()
    const speaker = await launch(world)
    await speaker.start()
    await world.pass()
    const { db } = world.deps
    const answer = await db.transaction().execute(async (tx) => {
      const [attempt] = await attempts(world)
      const ours = { outcome: 'lost', state: 'stopping' } as const
      await tx.selectFrom('shards').select('id').forNoKeyUpdate().execute()
      await tx
        .updateTable('attempts')
        .set(ours)
        .where('id', '=', attempt?.id ?? '')
        .execute()
      const said = speaker.finish({})
      await waits(world)
      return { said }
    })
    expect((await answer.said).status).toBe(410)
    expect(await attempts(world)).toMatchObject([{ outcome: 'lost', finished: null, finished_version: null }])
  })
})

/** Until a statement waits for a lock. */
async function waits({ deps }: World): Promise<void> {
  for (;;) {
    const { rows } = await sql`select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(deps.db)
    if (rows.length > 0) return
  }
}
