// Makes an API key for the first project and prints it: node infra/create-key.ts NAME ROLE
import { randomBytes } from 'node:crypto'
import { createKey, type Role } from '../jobs/keys.ts'
import { type Config, loadConfig } from './config.ts'
import { createDatabaseClock, migrate, openDatabase } from './db.ts'
import { ensureInstallation } from './first-start.ts'
import { lockFolder } from './folder-lock.ts'
import { createSealer, loadSecretKey } from './secrets.ts'

const roles = ['viewer', 'member', 'admin'] as const satisfies readonly Role[]
/** Longer ones are no names. */
const maxName = 200

/** Answers the key in clear, the only time. Throws with a message that says what to do. */
export async function main(config: Config, name: string, role: string): Promise<string> {
  const found = roles.find((each) => each === role)
  if (!found) throw new Error(`the role must be one of ${roles.join(', ')}, not ${JSON.stringify(role)}`)
  if (name.trim() === '' || name.length > maxName || name.includes('\0'))
    throw new Error(`the name must have 1 to ${maxName} characters`)
  const lock = config.database_url === null ? lockFolder(config.data_dir) : null
  try {
    const { db, close } = await openDatabase(config)
    try {
      await migrate(db)
      const clock = await createDatabaseClock(db)
      const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
      const sealer = createSealer(loadSecretKey(config))
      await ensureInstallation({ db, clock, random, sealer })
      const project = await db.selectFrom('projects').select('id').orderBy('id').executeTakeFirstOrThrow()
      return await createKey({ db, clock, random }, project.id, name, found)
    } finally {
      await close()
    }
  } finally {
    lock?.release()
  }
}

if (import.meta.main) {
  const [name = '', role = ''] = process.argv.slice(2)
  try {
    console.log(await main(loadConfig(), name, role))
    process.exit(0)
  } catch (error) {
    console.error(`berth: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
