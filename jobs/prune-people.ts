// What ended of people goes: sessions and links that are over, and what was tried a while ago.
import { sql } from 'kysely'
import { window_s } from './login-guard.ts'
import type { Database } from './store/schema.ts'

/** Of one round; the rest waits for the next. */
const batch = 1_000
/** Invitations that are over are kept this long, for who asks what became of one. */
const invitations_ms = 90 * 86_400_000

export async function prunePeople(db: Database, now: Date): Promise<void> {
  const rounds: [table: string, time: string, before: Date][] = [
    ['sessions', 'expires_at', now],
    ['verifications', 'expires_at', now],
    ['login_guards', 'since', new Date(now.getTime() - window_s * 1_000)],
    ['invitations', 'expires_at', new Date(now.getTime() - invitations_ms)],
  ]
  for (const [table, time, before] of rounds)
    await sql`delete from ${sql.table(table)} where ctid = any(array(
      select ctid from ${sql.table(table)} where ${sql.ref(time)} < ${before} limit ${batch}))`.execute(db)
}
