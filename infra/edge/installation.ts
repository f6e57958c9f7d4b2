import { sql } from 'kysely'
import type { Clock, Sealer } from '../../jobs/deps.ts'
import type { Database } from '../../jobs/store/schema.ts'
import { loadOtherKey, loadSecretKey } from '../secrets.ts'
import type { EdgeConfig } from './settings.ts'

interface Start {
  db: Database
  clock: Clock
  random: (bytes: number) => Uint8Array
  sealer: Sealer
}

/**
 * The installation and its keys, in one statement where they are there, made where they are not. Migrates nothing: a function starts
 * a hundred times at once. Throws when the schema is older than the bundle, or the secret key another one.
 */
export async function openInstallation(
  start: Start,
  { config, migration }: { config: EdgeConfig; migration: string },
): Promise<{ installation: string; runner_key: Buffer; identity_key: Buffer }> {
  const { db, sealer } = start
  await checkSchema(db, migration)
  const row = await db
    .selectFrom('installation')
    .select(['id', 'runner_key_sealed', 'identity_key_sealed'])
    .executeTakeFirst()
  if (row?.runner_key_sealed && row.identity_key_sealed) {
    await checkKeyOf(start, row.runner_key_sealed)
    const opened = (sealed: string, column: string) => Buffer.from(sealer.open(sealed, column), 'base64')
    return {
      installation: row.id,
      runner_key: opened(row.runner_key_sealed, 'runner_key_sealed'),
      identity_key: opened(row.identity_key_sealed, 'identity_key_sealed'),
    }
  }
  const { checkSecretKey, ensureInstallation, ensureKeys } = await firstStart()
  const installation = await ensureInstallation(start)
  await checkSecretKey(start)
  const keys = await ensureKeys(start, loadOtherKey(config) ?? loadSecretKey(config))
  return { installation, runner_key: keys.runner, identity_key: keys.identity }
}

/** Of an installation that is there nothing of it is needed. */
const firstStart = () => import('../first-start.ts')

async function checkSchema(db: Database, migration: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select name from kysely_migration where name = ${migration}`
    .execute(db)
    .catch((cause: unknown) => {
      throw new Error('the database has no schema yet, or does not answer: run `npm run migrate` with it', {
        cause,
      })
    })
  if (rows.length === 0)
    throw new Error(
      `the database is older than this bundle (${migration}): run \`npm run migrate\` with it first`,
    )
}

/** All others are sealed with the same. */
async function checkKeyOf({ db, sealer }: Start, sealed: string): Promise<void> {
  if (sealer.key_ids.some((id) => sealed.startsWith(`v1.${id}.`))) return
  const { checkSecretKey } = await firstStart()
  await checkSecretKey({ db, sealer })
}
