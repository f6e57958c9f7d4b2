// Accounts at providers: made, changed and removed while servers run. Credentials go in and never come out.
import { sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import { type Deps, topics } from './deps.ts'
import { AppError } from './errors.ts'
import { type HealthView, healthView } from './health-view.ts'
import { isId, newId } from './ids.ts'
import { rememberedCodes } from './memory.ts'
import { type AccountRow, credentialsOf, parseOwn, sealed } from './opening.ts'
import { unparkIn } from './parking.ts'
import { forgetHealth, readHealth } from './store/health.ts'
import { liftAccount } from './store/open.ts'
import { countChange } from './store/count-change.ts'
import type { AccountCheck, Tx } from './store/schema.ts'
import type { JsonObject } from './view.ts'

/** Each is asked for offers every half minute and scanned for orphans every minute. */
const maxAccounts = 200
/** Until no server offers it any more: they look every five seconds, and a launch that was decided is called. */
const quiet_s = 60

const regions = z
  .array(z.string().min(1).max(200))
  .min(1)
  .max(100)
  .nullable()
  .meta({ description: 'The regions that it is used in; null: all.' })
const anything = z.record(z.string(), z.unknown())
const credentials = anything.meta({ description: 'As its provider needs them. Never shown again.' })

export const accountRequest = z
  .strictObject({
    provider: z.string().min(1).max(64),
    account: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be lower-case letters, digits and dashes, like "main"'),
    settings: anything.default({}),
    credentials: credentials.default({}),
    regions: regions.default(null),
    enabled: z.boolean().default(true),
  })
  .meta({ id: 'ProviderAccountRequest' })

export const accountPatch = z
  .strictObject({
    settings: anything.optional().meta({ description: 'All of them: what is left out has its default.' }),
    credentials: credentials.optional(),
    regions: regions.optional(),
    enabled: z
      .boolean()
      .optional()
      .meta({ description: 'false: nothing is launched, and when nothing runs there it is not called.' }),
    draining: z
      .boolean()
      .optional()
      .meta({ description: 'true: nothing is launched, and what runs there goes on.' }),
    force: z.boolean().default(false).meta({
      description: 'true: disable it although attempts run there. They are watched to their end.',
    }),
  })
  .meta({ id: 'ProviderAccountPatch' })

export interface AccountView {
  /** null: set by the environment, and changed there. */
  id: string | null
  provider: string
  account: string
  settings: JsonObject
  /** Names alone. */
  credentials: string[]
  regions: string[] | null
  enabled: boolean
  draining: boolean
  running: number
  health: HealthView
  checks: AccountCheck[] | null
  checked_at: string | null
  created_at: string | null
  updated_at: string | null
}

/** Throws AppError. Calls nobody: testAccount does. */
export async function createAccount(
  deps: Deps,
  actor: Actor,
  request: z.output<typeof accountRequest>,
): Promise<AccountView> {
  const { provider, account, regions: in_regions, enabled } = request
  const own = await parseOwn(deps, provider, request)
  const now = deps.clock.now()
  const id = newId('pac', now, deps.random)
  await deps.db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtext('provider_accounts'))`.execute(tx)
    const rows = await tx.selectFrom('provider_accounts').select(['provider', 'account']).execute()
    const isTaken =
      rows.some((other) => keyOf(other) === keyOf(request)) ||
      deps.providers.some((other) => other.name === provider && other.account === account)
    if (isTaken)
      throw new AppError('account_exists', `There is an account ${provider}/${account}: change that one.`)
    if (rows.length >= maxAccounts)
      throw new AppError('invalid_request', `There are ${maxAccounts} accounts already: delete one.`)
    await countChange(tx)
    await tx
      .insertInto('provider_accounts')
      .values({
        id,
        provider,
        account,
        settings: JSON.stringify(own.settings),
        ...sealed(deps, id, own),
        regions: JSON.stringify(in_regions),
        enabled,
        draining: false,
        version: 1,
        checks: null,
        checked_at: null,
        created_at: now,
        updated_at: now,
      })
      .execute()
    const after = { provider, account, settings: own.settings, enabled, regions: in_regions }
    const change = { project_id: null, action: 'provider_account.created', subject: id, after }
    await audit({ ...deps, db: tx }, actor, change)
  })
  deps.waker.wake(topics.accounts)
  return readAccount(deps, id)
}

/** By provider and name, those of the environment first; they have no id, and are changed there. */
export async function listAccounts(deps: Pick<Deps, 'db' | 'providers' | 'clock'>): Promise<AccountView[]> {
  const rows = await deps.db
    .selectFrom('provider_accounts')
    .selectAll()
    .orderBy('provider')
    .orderBy('account')
    .execute()
  const running = await countRunning(deps)
  const now = deps.clock.now()
  const health = await readHealth(deps.db, now)
  const seen = (each: { provider: string; account: string }) => {
    const key = keyOf(each)
    return {
      running: running.get(key) ?? 0,
      health: healthView(health.rows.get(key) ?? null, health.calls.get(key) ?? [], now),
    }
  }
  const known = new Set(rows.map(keyOf))
  const fixed = deps.providers
    .map(({ name, account }) => ({ provider: name, account }))
    .filter((each) => !known.has(keyOf(each)))
    .map((each) => ({ ...fixedView, ...each, ...seen(each) }))
  return [...fixed, ...rows.map((row) => ({ ...viewOf(row), ...seen(row) }))]
}

/** Throws AppError not_found. */
export async function readAccount(
  deps: Pick<Deps, 'db' | 'providers' | 'clock'>,
  id: string,
): Promise<AccountView> {
  const found = (await listAccounts(deps)).find((each) => each.id === id)
  if (!found) throw unknown(id)
  return found
}

/** Changes what is given. Servers go by it within seconds. One with work on it is disabled when that is asked twice. Throws AppError. */
export async function changeAccount(
  deps: Deps,
  actor: Actor,
  id: string,
  patch: z.output<typeof accountPatch>,
): Promise<AccountView> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockAccount(tx, id)
    if (patch.enabled === false && row.enabled && !patch.force) await askFirst(tx, row)
    await countChange(tx)
    await tx
      .updateTable('provider_accounts')
      .set({
        ...(await openedAnew(deps, row, patch)),
        ...(patch.regions === undefined ? {} : { regions: JSON.stringify(patch.regions) }),
        enabled: patch.enabled ?? row.enabled,
        draining: patch.draining ?? row.draining,
        updated_at: now,
      })
      .where('id', '=', id)
      .execute()
    // What was refused to the old ones says nothing of the new ones.
    if (patch.settings !== undefined || patch.credentials !== undefined)
      await unparkIn(tx, deps, row, { detail: 'it was changed', how: 'forget', now })
    await audit({ ...deps, db: tx }, actor, {
      project_id: null,
      action: 'provider_account.changed',
      subject: id,
      before: told(row),
      after: { ...patch, ...(patch.credentials === undefined ? {} : { credentials: '[masked]' }) },
    })
  })
  deps.waker.wake(topics.accounts)
  deps.waker.wake(topics.webhooks)
  return readAccount(deps, id)
}

/** Throws AppError where work would go on at an account that nobody looks for any more. */
async function askFirst(tx: Tx, row: AccountRow): Promise<void> {
  const running = (await countRunning({ db: tx })).get(keyOf(row)) ?? 0
  if (running === 0) return
  const [are, them] = running === 1 ? ['1 attempt is', 'it'] : [`${running} attempts are`, 'them']
  throw inUse(
    `${are} there: drain it ("draining": true) and disable it when they have ended, or disable it now with ` +
      `"force": true, which starts nothing more and watches ${them} to the end.`,
  )
}

/** Nothing where neither is given: an account can be drained whatever it would be refused for today. */
async function openedAnew(
  deps: Deps,
  row: AccountRow,
  { settings, credentials: given }: z.output<typeof accountPatch>,
) {
  if (settings === undefined && given === undefined) return {}
  const own = await parseOwn(deps, row.provider, {
    settings: settings ?? row.settings,
    credentials: given ?? credentialsOf(deps, row),
  })
  return { settings: JSON.stringify(own.settings), ...sealed(deps, row.id, own), version: row.version + 1 }
}

/** Only of one that has been disabled for a minute and has nothing running or left. Throws AppError. */
export async function deleteAccount(deps: Deps, actor: Actor, id: string): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const row = await lockAccount(tx, id)
    const running = (await countRunning({ db: tx })).get(keyOf(row)) ?? 0
    if (running > 0) throw inUse(`${running} attempts are there: disable it, and wait for them or stop them.`)
    const left = await countLeft(tx, row)
    if (left > 0)
      throw inUse(
        `${left === 1 ? '1 thing is' : `${left} things are`} left there that no attempt accounts for, and nobody else ` +
          'would stop it: see GET /v1/orphans, and try again when it is gone.',
      )
    if (row.enabled) throw inUse('Disable it first, so that nothing is launched there any more.')
    if (now.getTime() - row.updated_at.getTime() < quiet_s * 1_000)
      throw inUse(`It was changed less than ${quiet_s} s ago, and a launch may be under way: try again.`)
    await countChange(tx)
    await liftAccount(tx, row, rememberedCodes, now, 'forget')
    await forgetHealth(tx, row)
    await tx.deleteFrom('provider_accounts').where('id', '=', id).execute()
    const before = { provider: row.provider, account: row.account, ...told(row) }
    const change = { project_id: null, action: 'provider_account.deleted', subject: id, before }
    await audit({ ...deps, db: tx }, actor, change)
  })
  deps.waker.wake(topics.accounts)
}

/** Orphans that were there when it was last looked. */
async function countLeft(tx: Tx, { provider, account }: AccountRow): Promise<number> {
  const { count } = await tx
    .selectFrom('orphans')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('provider', '=', provider)
    .where('account', '=', account)
    .where('gone_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(count)
}

const told = ({ settings, regions, enabled, draining }: AccountRow) => ({
  settings,
  regions,
  enabled,
  draining,
})

const keyOf = ({ provider, account }: { provider: string; account: string }) => `${provider}/${account}`
export const unknown = (id: string) =>
  new AppError('not_found', `There is no provider account ${id.slice(0, 100)}.`)
const inUse = (message: string) => new AppError('account_in_use', message)

/** Of the environment: what is not stored. */
const fixedView: Omit<AccountView, 'provider' | 'account' | 'running' | 'health'> = {
  id: null,
  settings: {},
  credentials: [],
  regions: null,
  enabled: true,
  draining: false,
  checks: null,
  checked_at: null,
  created_at: null,
  updated_at: null,
}

const viewOf = (row: AccountRow): Omit<AccountView, 'running' | 'health'> => ({
  id: row.id,
  provider: row.provider,
  account: row.account,
  settings: row.settings as JsonObject,
  credentials: row.credential_names,
  regions: row.regions,
  enabled: row.enabled,
  draining: row.draining,
  checks: row.checks,
  checked_at: row.checked_at?.toISOString() ?? null,
  created_at: row.created_at.toISOString(),
  updated_at: row.updated_at.toISOString(),
})

async function countRunning({ db }: Pick<Deps, 'db'>): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('attempts')
    .select(['provider', 'account', ({ fn }) => fn.countAll<number>().as('count')])
    .where('ended_at', 'is', null)
    .groupBy(['provider', 'account'])
    .execute()
  return new Map(rows.map((row) => [keyOf(row), Number(row.count)]))
}

export const selectAccount = (db: Deps['db'], id: string) =>
  db.selectFrom('provider_accounts').selectAll().where('id', '=', id).executeTakeFirst()

async function lockAccount(tx: Tx, id: string): Promise<AccountRow> {
  const row = isId('pac', id)
    ? await tx.selectFrom('provider_accounts').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
    : undefined
  if (!row) throw unknown(id)
  return row
}
