// Makes an API key for the first project and prints it: node infra/create-key.ts NAME ROLE
import { createKey, type KeyRole } from '../jobs/keys.ts'
import { type Config, loadConfig } from './config.ts'
import { ensureInstallation } from './first-start.ts'
import { runOffline, withDatabase } from './offline.ts'
import { openSealer } from './secrets.ts'

const roles = ['viewer', 'member', 'admin'] as const satisfies readonly KeyRole[]
/** Longer ones are no names. */
const maxName = 200

/** Answers the key in clear, the only time. Throws with a message that says what to do. */
export async function main(config: Config, name: string, role: string): Promise<string> {
  const found = roles.find((each) => each === role)
  if (!found) throw new Error(`the role must be one of ${roles.join(', ')}, not ${JSON.stringify(role)}`)
  if (name.trim() === '' || name.length > maxName || name.includes('\0'))
    throw new Error(`the name must have 1 to ${maxName} characters`)
  return withDatabase(config, async (deps) => {
    await ensureInstallation({ ...deps, sealer: openSealer(config) })
    const project = await deps.db.selectFrom('projects').select('id').orderBy('id').executeTakeFirstOrThrow()
    return createKey(deps, project.id, name, found)
  })
}

if (import.meta.main) {
  const [name = '', role = ''] = process.argv.slice(2)
  await runOffline(() => main(loadConfig(), name, role))
}
