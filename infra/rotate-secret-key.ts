// Seals all secrets in rows anew with the secret key, while the other one opens them too: node infra/rotate-secret-key.ts
import { resealAll } from '../jobs/reseal.ts'
import { type Config, loadConfig } from './config.ts'
import { checkSecretKey } from './first-start.ts'
import { runOffline, withDatabase } from './offline.ts'
import { openSealer } from './secrets.ts'

/** Answers what is the case now. Throws when a key is missing. Servers that have both keys go on meanwhile. */
export async function main(config: Config): Promise<string> {
  if (config.other_secret_key === null && config.other_secret_key_file === null)
    throw new Error('name the old key in BERTH_SECRET_KEY_OTHER or BERTH_SECRET_KEY_OTHER_FILE')
  return withDatabase(config, async ({ db }) => {
    const sealer = openSealer(config)
    await checkSecretKey({ db, sealer })
    const count = await resealAll({ db, sealer })
    return (
      `${count} secrets were sealed anew. Nothing in the database needs the other key any more: take ` +
      'BERTH_SECRET_KEY_OTHER away from all servers.'
    )
  })
}

if (import.meta.main) await runOffline(() => main(loadConfig()))
