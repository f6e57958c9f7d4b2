// What commands that need the database itself begin with: the server's settings, its lock, a schema that is up to date.
import { randomBytes } from 'node:crypto'
import type { Deps } from '../jobs/deps.ts'
import type { Config } from './config.ts'
import { createDatabaseClock } from './database-clock.ts'
import { migrate, openDatabase } from './db.ts'
import { lockFolder } from './folder-lock.ts'

export type OfflineDeps = Pick<Deps, 'db' | 'clock' | 'random'>

/** Opens the database of a configuration for one piece of work. Throws when another process has its folder. */
export async function withDatabase<Result>(
  config: Config,
  work: (deps: OfflineDeps) => Promise<Result>,
): Promise<Result> {
  const lock = config.database_url === null ? lockFolder(config.data_dir) : null
  try {
    const { db, close } = await openDatabase(config)
    try {
      await migrate(db)
      const clock = await createDatabaseClock(db)
      return await work({ db, clock, random: (bytes) => new Uint8Array(randomBytes(bytes)) })
    } finally {
      await close()
    }
  } finally {
    lock?.release()
  }
}

/** Runs a command's work, prints what it answers, and ends the process. */
export async function runOffline(work: () => Promise<string>): Promise<never> {
  try {
    console.log(await work())
    process.exit(0)
  } catch (error) {
    console.error(`berth: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
