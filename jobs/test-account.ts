import { ProviderError } from '../providers/errors.ts'
import type { Check } from '../providers/provider.ts'
import { selectAccount, unknown } from './accounts.ts'
import type { Deps } from './deps.ts'
import { isId } from './ids.ts'
import { openVendor } from './opening.ts'
import { unpark } from './parking.ts'

/** A check asks for each permission in turn. */
const check_ms = 60_000

/** Asks for each permission that it needs, without spending, and keeps what was seen. Throws AppError. */
export async function testAccount(deps: Deps, id: string): Promise<{ ok: boolean; checks: Check[] }> {
  const row = isId('pac', id) ? await selectAccount(deps.db, id) : undefined
  if (!row) throw unknown(id)
  // Asked whatever is known of it: a person waits for the answer.
  const checks = await openVendor(deps, row)
    .then((provider) => provider.check(AbortSignal.timeout(check_ms)))
    .catch((error: unknown) => [failedCheck(error)])
  await deps.db
    .updateTable('provider_accounts')
    .set({ checks: JSON.stringify(checks), checked_at: deps.clock.now() })
    .where('id', '=', id)
    // What was tried is what is there.
    .where('version', '=', row.version)
    .execute()
  const ok = checks.every((each) => each.ok)
  if (ok) await unpark(deps, row, 'a test succeeded', 'remember')
  return { ok, checks }
}

/** An adapter answers its checks; one that throws has told what of. */
function failedCheck(error: unknown): Check {
  const detail =
    error instanceof ProviderError ? `${error.code}: ${error.detail}` : 'the account could not be opened'
  return { name: 'account', ok: false, detail }
}
