// A database that answers some statements and not others: connections end, servers fail over.
import { type KyselyPlugin, sql } from 'kysely'
import { expect, test } from 'vitest'
import { runPass } from '../../jobs/reconcile.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** Fails statements of the pass that match, as often as told. */
function breaking(world: World, matches: RegExp, times: number) {
  let left = times
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      if (left > 0 && matches.test(JSON.stringify(node))) {
        left--
        throw new Error('the connection is gone')
      }
      return node
    },
    transformResult: ({ result }) => Promise.resolve(result),
  }
  return { ...world.deps, db: world.deps.db.withPlugin(plugin) }
}

test('a pass that fails after its claim gives back what it has claimed', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  const readsJobs = /"SelectQueryNode".*"jobs"/
  await expect(runPass(breaking(world, readsJobs, 1), 'rep_one')).rejects.toThrow('the connection is gone')
  await world.pass('rep_other')
  expect(world.model.calls).toMatchObject([{ call: 'launch' }])
})

test('it is given back also when the statement that gives it back fails at first', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  const readsJobsOrReleases = /"SelectQueryNode".*"jobs"|update shards set lease_replica = null/
  await expect(runPass(breaking(world, readsJobsOrReleases, 2), 'rep_one')).rejects.toThrow()
  await world.pass('rep_other')
  expect(world.model.calls).toMatchObject([{ call: 'launch' }])
})

test('a shard that cannot be written does not keep the others from it', async () => {
  await using world = await openTestWorld()
  const { db } = world.deps
  for (let n = 0; n < 2; n++) await world.request('POST', '/v1/jobs', { body: backtest() })
  const { id } = await db.selectFrom('jobs').select('id').orderBy('id').executeTakeFirstOrThrow()
  await sql`create function refuse() returns trigger language plpgsql
    as 'begin raise exception ''not this one''; end'`.execute(db)
  await sql
    .raw(`create trigger refuse before insert on attempts for each row when (new.job_id = '${id}')
      execute function refuse()`)
    .execute(db)
  try {
    await world.pass()
    expect(world.model.calls).toMatchObject([{ call: 'launch' }])
    expect(world.logged).toMatchObject([{ level: 'error', message: 'a shard was not decided' }])
  } finally {
    await sql`drop function refuse cascade`.execute(db)
  }
  await world.pass()
  expect(world.model.calls).toMatchObject([{ call: 'launch' }, { call: 'launch' }])
})

test('a database that goes away in a commit leaves everything to be decided again', async () => {
  await using world = await openTestWorld()
  for (let n = 0; n < 2; n++) await world.request('POST', '/v1/jobs', { body: backtest() })
  const writesIntents = /insert into .*"attempts"/
  await expect(runPass(breaking(world, writesIntents, 1), 'rep_one')).rejects.toThrow(
    'the connection is gone',
  )
  expect(world.model.calls).toEqual([])
  await world.pass('rep_other')
  expect(world.model.calls).toMatchObject([{ call: 'launch' }, { call: 'launch' }])
})
