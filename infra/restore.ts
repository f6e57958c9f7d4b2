// Says that the database was restored from a copy, or that this is over: node infra/restore.ts [--end]
import { endQuarantine, quarantine } from '../jobs/restore.ts'
import { type Config, loadConfig } from './config.ts'
import { runOffline, withDatabase } from './offline.ts'

/** Answers what is the case now. Throws when the database is not there or another process has its folder. */
export async function main(config: Config, end: boolean): Promise<string> {
  return withDatabase(config, async (deps) => {
    const known = await deps.db.selectFrom('installation').select('id').executeTakeFirst()
    if (!known) throw new Error('this database has never been used by a server: there is nothing to restore')
    if (!end) {
      const until = await quarantine(deps)
      return (
        `Until ${until.toISOString()} nothing unknown is stopped but by a person (GET /v1/orphans shows it), and for ` +
        'ten minutes nothing is launched. "berth restore --end" ends both.'
      )
    }
    await endQuarantine(deps)
    return 'What no attempt accounts for is stopped again, and launches go on.'
  })
}

if (import.meta.main) await runOffline(() => main(loadConfig(), process.argv.includes('--end')))
