// What an account at a provider is opened with, as it is stored, and which of them are called.
import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import type { Provider } from '../providers/provider.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Tables } from './store/schema.ts'
import { watched } from './watched.ts'

export type AccountRow = Selectable<Tables['provider_accounts']>
/** What an account is opened with. */
export type Opening = Pick<Deps, 'vendors' | 'sealer' | 'installation' | 'clock' | 'health'>
export type Own = { settings: Record<string, unknown>; credentials: Record<string, string | undefined> }

/** The provider of a stored account, its calls watched anew. Throws as openVendor does. */
export async function openAccount(deps: Opening, row: AccountRow): Promise<Provider> {
  const provider = await openVendor(deps, row)
  deps.health.renew(row)
  return watched(provider, deps.health)
}

/** Loads what its vendor's SDK makes of it. Throws what its vendor throws, or when the secret key does not fit. */
export async function openVendor(deps: Opening, row: AccountRow): Promise<Provider> {
  const vendor = (await deps.vendors())[row.provider]
  if (!vendor) throw new Error(`this release knows no provider ${row.provider}`)
  return vendor.open({
    account: row.account,
    settings: row.settings,
    credentials: credentialsOf(deps, row),
    installation: deps.installation,
    clock: deps.clock,
  })
}

/** Accounts that are called: those that are enabled, and those where something runs or is left. */
export async function calledAccounts({ db }: Pick<Deps, 'db'>): Promise<AccountRow[]> {
  return db
    .selectFrom('provider_accounts as it')
    .selectAll()
    .where((where) =>
      where.or([
        where('enabled', '=', true),
        where.exists(
          where
            .selectFrom('attempts')
            .select(sql`1`.as('one'))
            .whereRef('attempts.provider', '=', 'it.provider')
            .whereRef('attempts.account', '=', 'it.account')
            .where('ended_at', 'is', null),
        ),
        where.exists(
          where
            .selectFrom('orphans')
            .select(sql`1`.as('one'))
            .whereRef('orphans.provider', '=', 'it.provider')
            .whereRef('orphans.account', '=', 'it.account')
            .where('gone_at', 'is', null),
        ),
      ]),
    )
    .orderBy('id')
    .execute()
}

export const contextOf = (id: string) => `provider_accounts/${id}`

export function sealed({ sealer }: Pick<Deps, 'sealer'>, id: string, { credentials: given }: Own) {
  const names = Object.keys(given).filter((name) => given[name] !== undefined)
  return {
    credentials_sealed: sealer.seal(JSON.stringify(given), contextOf(id)),
    credential_names: JSON.stringify(names.toSorted()),
  }
}

export const credentialsOf = ({ sealer }: Pick<Deps, 'sealer'>, { id, credentials_sealed }: AccountRow) =>
  JSON.parse(sealer.open(credentials_sealed, contextOf(id))) as Own['credentials']

/** Throws AppError or ZodError naming each field; no value is told again, for it may be a secret. */
export async function parseOwn(
  deps: Deps,
  provider: string,
  given: { settings: Record<string, unknown>; credentials: Record<string, unknown> },
): Promise<Own> {
  const vendors = await deps.vendors()
  const vendor = vendors[provider]
  if (!vendor) {
    const message = `must be one of ${Object.keys(vendors).join(', ')}`
    throw new AppError('invalid_request', `provider ${message}.`, { errors: [{ path: 'provider', message }] })
  }
  if (vendor.remote && !deps.settings.is_reachable) {
    const message = 'has machines elsewhere, which must reach this server: set BERTH_PUBLIC_URL'
    throw new AppError('invalid_request', `provider ${message}.`, { errors: [{ path: 'provider', message }] })
  }
  // What is wrong is answered by its field, as for every request.
  return z.object({ settings: vendor.settings, credentials: vendor.credentials }).parse(given)
}
