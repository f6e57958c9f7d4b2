// What the first start of a database makes: the installation, a project, an admin key.
import { existsSync } from 'node:fs'
import type { Clock, Sealer } from '../jobs/deps.ts'
import { createKey } from '../jobs/keys.ts'
import { ensurePartitions } from '../jobs/store/fold.ts'
import type { Database } from '../jobs/store/schema.ts'
import { insertProject } from '../jobs/projects.ts'
import { missingKeys } from '../jobs/reseal.ts'
import { createPrivateFile, deriveKey } from './secrets.ts'

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
      await insertProject({ ...start, db: tx }, { name: 'default', is_operator: true })
    }
    return (await tx.selectFrom('installation').select('id').executeTakeFirstOrThrow()).id
  })
}

/** Throws when a secret in the database was sealed with a key that this server has not. */
export async function checkSecretKey({ db, sealer }: Pick<Start, 'db' | 'sealer'>): Promise<void> {
  const [missing, ...others] = await missingKeys({ db, sealer })
  if (!missing) return
  const count = [missing, ...others].reduce((sum, { values }) => sum + values, 0)
  throw new Error(
    `the secret key does not open ${count} secrets in this database: give the key that they were sealed with ` +
      `(${missing.key_id}) in BERTH_SECRET_KEY or BERTH_SECRET_KEY_FILE, or while keys are rotated in BERTH_SECRET_KEY_OTHER`,
  )
}

/** Sealed in the row of the installation, under these names. */
const ownKeys = { runner_key_sealed: 'runner-token', identity_key_sealed: 'identity' } as const

/**
 * The keys that sign runners' tokens and people's sessions. They come from the secret key of the first start and are kept, sealed, so
 * that what they have signed is good when the secret key is another one.
 */
export async function ensureKeys({ db, sealer }: Pick<Start, 'db' | 'sealer'>, secret_key: Buffer) {
  const keyOf = async (column: keyof typeof ownKeys): Promise<Buffer> => {
    const made = deriveKey(secret_key, ownKeys[column]).toString('base64')
    // Of two servers that start at once, both go by what the first one has written.
    await db
      .updateTable('installation')
      .set({ [column]: sealer.seal(made, column) })
      .where(column, 'is', null)
      .execute()
    const row = await db.selectFrom('installation').select(column).executeTakeFirstOrThrow()
    return Buffer.from(sealer.open(row[column] ?? '', column), 'base64')
  }
  return { runner: await keyOf('runner_key_sealed'), identity: await keyOf('identity_key_sealed') }
}

/** Writes an admin key for the first project to a file that only its owner can read; answers whether it did. */
export async function ensureAdminKey(start: Start, file: string): Promise<boolean> {
  if (existsSync(file)) return false
  const project = await start.db.selectFrom('projects').select('id').orderBy('id').executeTakeFirstOrThrow()
  const key = await createKey(start, project.id, 'admin (first start)', 'admin')
  return createPrivateFile(file, `${key}\n`)
}
