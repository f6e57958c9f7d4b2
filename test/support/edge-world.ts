// A migrated database as a server on Node has left it, and what edge functions on it are told.
import { randomBytes } from 'node:crypto'
import { createDatabaseClock } from '../../infra/database-clock.ts'
import { openDatabase } from '../../infra/db.ts'
import { ensureInstallation, ensureKeys } from '../../infra/first-start.ts'
import { createSealer } from '../../infra/secrets.ts'
import { createKey } from '../../jobs/keys.ts'

const secret_key = randomBytes(32)
const random = (bytes: number) => new Uint8Array(randomBytes(bytes))

export type EdgeWorld = Awaited<ReturnType<typeof openEdgeWorld>>

export async function openEdgeWorld(database_url: string) {
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  const clock = await createDatabaseClock(db)
  const sealer = createSealer(secret_key)
  await ensureInstallation({ db, clock, random, sealer })
  const { runner: runner_key } = await ensureKeys({ db, sealer }, secret_key)
  const project = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow()
  const key = await createKey({ db, clock, random }, project.id, 'edge', 'admin')
  const env = {
    BERTH_DATABASE_URL: database_url,
    BERTH_SECRET_KEY: secret_key.toString('base64'),
    BERTH_PUBLIC_URL: 'http://127.0.0.1:9',
    // Nobody listens there: what is tried here stores no object.
    BERTH_OBJECT_STORE: 's3://nobody/asks',
    BERTH_OBJECT_STORE_ENDPOINT: 'http://127.0.0.1:9',
    BERTH_OBJECT_STORE_KEY_ID: 'id',
    BERTH_OBJECT_STORE_SECRET: 'secret',
    BERTH_ROLES: 'api,pass,webhooks,offers',
    BERTH_ALLOW_PRIVATE_TARGETS: 'true',
    BERTH_SSE_MAX_S: '20',
  }
  return { db, env, key, runner_key, close }
}
