// What the first start of a database makes: the installation, a project, an admin key.
import { existsSync } from 'node:fs'
import type { Clock, Sealer } from '../jobs/deps.ts'
import { newId } from '../jobs/ids.ts'
import { createKey } from '../jobs/keys.ts'
import { ensurePartitions } from '../jobs/store/fold.ts'
import type { Database } from '../jobs/store/schema.ts'
import { secretContext, webhookSecret } from '../jobs/webhooks.ts'
import { createPrivateFile } from './secrets.ts'

interface Start {
  db: Database
  clock: Clock
  random: (bytes: number) => Uint8Array
  sealer: Sealer
}

/** The installation id; makes it, with the first project, where there is none. */
export async function ensureInstallation(start: Start): Promise<string> {
  const now = start.clock.now()
  const id = Buffer.from(start.random(8)).toString('hex')
  return start.db.transaction().execute(async (tx) => {
    await ensurePartitions(tx, now)
    const made = await tx
      .insertInto('installation')
      .values({ id, created_at: now })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if ((made.numInsertedOrUpdatedRows ?? 0n) > 0n) {
      const project_id = newId('prj', now, start.random)
      const secret = `whsec_${Buffer.from(start.random(32)).toString('base64')}`
      const webhook_secret_sealed = start.sealer.seal(secret, secretContext(project_id))
      await tx
        .insertInto('projects')
        .values({
          id: project_id,
          name: 'default',
          webhook_secret_sealed,
          is_operator: true,
          created_at: now,
        })
        .execute()
    }
    return (await tx.selectFrom('installation').select('id').executeTakeFirstOrThrow()).id
  })
}

/** Throws when the secret key is not the one that the database's secrets were sealed with. */
export async function checkSecretKey({ db, sealer }: Pick<Start, 'db' | 'sealer'>): Promise<void> {
  const project = await db.selectFrom('projects').select('id').orderBy('id').executeTakeFirst()
  if (!project) return
  try {
    await webhookSecret({ db, sealer }, project.id)
  } catch (cause) {
    throw new Error(
      'the secret key does not open the secrets in this database: give the key that it was made with in BERTH_SECRET_KEY or BERTH_SECRET_KEY_FILE',
      { cause },
    )
  }
}

/**
 * Writes an admin key for the first project to a file that only its owner can read; answers whether it did. Of a database that others may
 * share only its first server does: the folder of a server in a container is new at every start, and each would leave a key behind.
 */
export async function ensureAdminKey(start: Start, file: string, is_shared: boolean): Promise<boolean> {
  if (existsSync(file)) return false
  const key = await start.db.transaction().execute(async (db) => {
    const { id } = await db
      .selectFrom('projects')
      .select('id')
      .orderBy('id')
      .forNoKeyUpdate()
      .executeTakeFirstOrThrow()
    const others = is_shared ? await worksForAdmins({ ...start, db }, id) : false
    return others ? null : createKey({ ...start, db }, id, 'admin (first start)', 'admin')
  })
  return key !== null && createPrivateFile(file, `${key}\n`)
}

async function worksForAdmins(
  { db, clock }: Pick<Start, 'db' | 'clock'>,
  project_id: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('api_keys')
    .select('id')
    .where('project_id', '=', project_id)
    .where('role', '=', 'admin')
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', clock.now())]))
    .executeTakeFirst()
  return row !== undefined
}
