// When each API key was last used, to the minute: a row is not written for each request.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'

/** Keys that are remembered between two writes; a minute with more leaves some out. */
const maxUsed = 10_000

export interface KeyUse {
  used: (key_id: string, at: Date) => void
  /** Writes what was used since the last time. */
  write: (deps: Pick<Deps, 'db'>) => Promise<void>
}

export function createKeyUse(): KeyUse {
  let seen = new Map<string, Date>()
  return {
    used(key_id, at) {
      if (seen.size < maxUsed || seen.has(key_id)) seen.set(key_id, at)
    },
    async write({ db }) {
      if (seen.size === 0) return
      const rows = [...seen].map(([id, at]) => ({ id, at }))
      seen = new Map()
      // Other servers may have seen it later.
      await sql`
        update api_keys set last_used_at = greatest(last_used_at, given.at)
        from json_to_recordset(${JSON.stringify(rows)}::json) as given(id text, at timestamptz)
        where api_keys.id = given.id`.execute(db)
    },
  }
}
