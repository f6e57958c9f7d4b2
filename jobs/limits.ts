// How many attempts may run at once: of a project, of a kind, on an account, of a kind on one device.
import { z } from 'zod'
import type { Offer } from '../providers/provider.ts'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import { type Grant, hasRole } from './keys.ts'
import { countChange } from './store/count-change.ts'
import type { Database } from './store/schema.ts'

/** Limits are read by every pass. */
const maxLimits = 1_000

export const limitScopes = ['project', 'kind', 'account', 'device'] as const
export type LimitScope = (typeof limitScopes)[number]

/** Attempts of a kind at once on one GPU, on one core, or on all CPUs of an offer with fixed capacity. */
export const deviceDefaults: Readonly<Record<string, number>> = {
  'backtest/gpu': 4,
  'backtest/cpu_core': 2,
  'training/gpu': 1,
  'training/cpu': 2,
  // Nobody knows what such a program leaves of a GPU.
  'custom/gpu': 1,
  'inference/gpu': 3,
  'inference/cpu': 4,
}

export const limitRequest = z
  .strictObject({
    scope: z.enum(limitScopes),
    key: z
      .string()
      .min(1)
      .max(200)
      .meta({ description: 'A project id, a kind, `provider/account`, or `kind/gpu|cpu|cpu_core`.' }),
    max_running: z.int().min(0).max(1_000_000),
  })
  .superRefine(({ scope, key }, context) => {
    const form = forms[scope]
    if (!form.pattern.test(key)) context.addIssue({ code: 'custom', path: ['key'], message: form.message })
  })
  .meta({ id: 'LimitRequest' })

const forms: Record<LimitScope, { pattern: RegExp; message: string }> = {
  project: { pattern: /^prj_[a-z0-9]+$/, message: 'must be the id of a project' },
  kind: { pattern: /^[a-z]+$/, message: 'must be a kind, like "backtest"' },
  account: { pattern: /^[a-z0-9-]+\/[^/]+$/, message: 'must be "provider/account"' },
  device: {
    pattern: /^[a-z]+\/(gpu|cpu|cpu_core)$/,
    message: 'must be "kind/gpu", "kind/cpu" or "kind/cpu_core"',
  },
}

export interface LimitView {
  /** null: a default, which no row says. */
  id: string | null
  scope: LimitScope
  key: string
  max_running: number
}

/** Every limit in force, by `scope:key`. */
export async function readLimits(db: Database): Promise<Map<string, number>> {
  const rows = await db.selectFrom('limits').select(['scope', 'key', 'max_running']).execute()
  const limits = new Map(Object.entries(deviceDefaults).map(([key, most]) => [`device:${key}`, most]))
  for (const { scope, key, max_running } of rows) limits.set(`${scope}:${key}`, max_running)
  return limits
}

export interface Bound {
  scope: LimitScope
  key: string
  max_running: number
}

/** The limits that a launch of a kind for a project at an offer falls under. */
export function boundsOf(
  limits: ReadonlyMap<string, number>,
  work: { project_id: string; kind: string },
  offer: Offer,
): Bound[] {
  const bound = (scope: LimitScope, key: string, units = 1): Bound[] => {
    const max_running = limits.get(`${scope}:${key}`)
    return max_running === undefined ? [] : [{ scope, key, max_running: max_running * units }]
  }
  return [
    ...bound('project', work.project_id),
    ...bound('kind', work.kind),
    ...bound('account', `${offer.provider}/${offer.account}`),
    ...(offer.slots === null ? [] : deviceBounds(bound, work.kind, offer)),
  ]
}

function deviceBounds(
  bound: (scope: LimitScope, key: string, units?: number) => Bound[],
  kind: string,
  offer: Offer,
): Bound[] {
  if (offer.gpu) return bound('device', `${kind}/gpu`, offer.gpu.count)
  return [...bound('device', `${kind}/cpu_core`, offer.cpu), ...bound('device', `${kind}/cpu`)]
}

/** What counts against a bound: its key among the counts of open attempts (store/open.ts). */
export function countKey({ scope, key }: Bound, kind: string, offer: Offer): string {
  return scope === 'device'
    ? `offer-kind:${offer.provider}/${offer.account}/${offer.id}/${kind}`
    : `${scope}:${key}`
}

/** What bounds a project's launches; whoever runs the installation sees the limits of other projects too. */
export async function listLimits(
  deps: Pick<Deps, 'db'>,
  { project_id, role, is_operator }: Pick<Grant, 'project_id' | 'role' | 'is_operator'>,
): Promise<LimitView[]> {
  const isOwn = !(is_operator && hasRole(role, 'admin'))
  const rows = await deps.db
    .selectFrom('limits')
    .select(['id', 'scope', 'key', 'max_running'])
    .$if(isOwn, (limits) =>
      limits.where((where) => where.or([where('scope', '!=', 'project'), where('key', '=', project_id)])),
    )
    .orderBy('scope')
    .orderBy('key')
    .execute()
  const set = new Set(rows.map(({ scope, key }) => `${scope}:${key}`))
  const defaults = Object.entries(deviceDefaults)
    .filter(([key]) => !set.has(`device:${key}`))
    .map(([key, max_running]) => ({ id: null, scope: 'device' as const, key, max_running }))
  return [...rows, ...defaults]
}

/** Makes a limit or changes it; it holds for launches from now on, what runs goes on. */
export async function putLimit(
  deps: Deps,
  actor: Actor,
  request: z.output<typeof limitRequest>,
): Promise<LimitView> {
  const updated_at = deps.clock.now()
  const { scope, key, max_running } = request
  return deps.db.transaction().execute(async (tx) => {
    const { count } = await tx
      .selectFrom('limits')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      // Changing one of them makes no more.
      .where((where) => where.not(where.and({ scope, key })))
      .executeTakeFirstOrThrow()
    if (Number(count) >= maxLimits)
      throw new AppError('invalid_request', `There are ${maxLimits} limits already: delete one.`)
    await countChange(tx)
    const old = await tx
      .selectFrom('limits')
      .select('max_running')
      .where((where) => where.and({ scope, key }))
      .executeTakeFirst()
    const made = await tx
      .insertInto('limits')
      .values({ id: newId('lim', updated_at, deps.random), scope, key, max_running, updated_at })
      .onConflict((conflict) => conflict.columns(['scope', 'key']).doUpdateSet({ max_running, updated_at }))
      .returning(['id', 'scope', 'key', 'max_running'])
      .executeTakeFirstOrThrow()
    const change = { action: 'limit.put', subject: made.id, before: old ?? null, after: request }
    await audit({ ...deps, db: tx }, actor, { project_id: null, ...change })
    return made
  })
}

/** Throws AppError not_found. */
export async function deleteLimit(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  id: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await countChange(tx)
    const [before] = await tx
      .deleteFrom('limits')
      .where('id', '=', id)
      .returning(['scope', 'key', 'max_running'])
      .execute()
    if (!before) throw new AppError('not_found', `There is no limit ${id.slice(0, 100)}.`)
    await audit({ db: tx, clock }, actor, { project_id: null, action: 'limit.deleted', subject: id, before })
  })
}
