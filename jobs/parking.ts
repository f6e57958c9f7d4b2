// Accounts that are not in order: what this process has seen of them is written where all replicas read it, and they are tried until
// they are in order again.
import { type Deps, topics } from './deps.ts'
import type { AccountName, Seen, Told } from './health.ts'
import { blocksAccount, rememberedCodes } from './memory.ts'
import { claimProbes, type NewState, turnAccounts, writeCounts, writeErrors } from './store/health.ts'
import { accountKey, holdAccount, liftAccount, writeMemory } from './store/open.ts'
import { countChange } from './store/count-change.ts'
import type { Tx } from './store/schema.ts'

/** A check asks for each permission in turn. */
const check_ms = 60_000
const offers_ms = 20_000
/** Accounts that one look tries at once: the others are tried by the next. */
const maxProbes = 20
/** From a probe that failed: longer than the pause until the next, so that no launch finds out what is known. */
const held_ms = 60_000

/** Writes what was seen of accounts since the last time. */
export async function writeHealth(deps: Deps): Promise<void> {
  const seen = deps.health.drain()
  if (seen.counts.length + seen.errors.length + seen.told.length === 0) return
  const now = deps.clock.now()
  try {
    if (seen.errors.length + seen.told.length > 0)
      await deps.db.transaction().execute((tx) => write(tx, deps, seen, now))
  } catch (error) {
    deps.health.putBack(seen)
    throw error
  }
  if (seen.told.length > 0) tellAll(deps)
  // Last and once: what is lost of it is lost to a figure.
  await writeCounts(deps.db, seen.counts, now)
}

async function write(tx: Tx, deps: Deps, { errors, told }: Seen, now: Date): Promise<void> {
  // What launches go by before what is shown, each in the order of its keys: as commits do.
  const all = told.toSorted((a, b) => (accountKey(a) < accountKey(b) ? -1 : 1))
  for (const each of all) await remember(tx, each, now)
  await turnAccounts(
    tx,
    foldDeps(deps, now),
    all.map((each) => ({ of: each, to: stateOf(each) })),
  )
  await writeErrors(tx, errors, now)
  if (told.length > 0) await countChange(tx)
}

async function remember(tx: Tx, told: Told, now: Date): Promise<void> {
  if (told.state === 'open') return holdAccount(tx, told, new Date(now.getTime() + held_ms), now)
  if (told.state === 'closed') return liftAccount(tx, told, ['unavailable'], now, 'forget')
  const { provider, account, code, detail } = told
  await writeMemory(
    tx,
    [{ offer: { provider, account, region: '', id: '', spot: false }, code, detail }],
    now,
  )
}

function stateOf(told: Told): NewState {
  if (told.state === 'closed') return { state: 'healthy', detail: 'it answers again', forget: false }
  const { code: reason, detail } = told
  return told.state === 'open'
    ? { state: 'open', reason, detail, since: told.since }
    : { state: 'parked', reason, detail }
}

/** Tries parked accounts without spending, and those that did not answer, where their time has come. */
export async function probeAccounts(deps: Deps): Promise<void> {
  const due = new Set(deps.health.due())
  const silent = deps.providers.filter((each) =>
    due.has(accountKey({ provider: each.name, account: each.account })),
  )
  const parked = await claimProbes(deps.db, deps.clock.now(), maxProbes)
  await Promise.all([
    // Its health hears what comes of it.
    ...silent.slice(0, maxProbes).map((each) => each.offers(AbortSignal.timeout(offers_ms)).catch(() => [])),
    ...parked.map((each) => probe(deps, each)),
  ])
}

async function probe(deps: Deps, { provider: name, account }: AccountName): Promise<void> {
  const provider = deps.providers.find((each) => each.name === name && each.account === account)
  const checks = await provider?.check(AbortSignal.timeout(check_ms)).catch(() => null)
  if (checks?.every(({ ok }) => ok))
    await unpark(deps, { provider: name, account }, 'its check succeeded', 'remember')
}

/**
 * From now on it is given launches again. `remember`: should it refuse one after all, it is parked for longer than the last time.
 */
export async function unpark(
  deps: Deps,
  of: AccountName,
  detail: string,
  how: 'remember' | 'forget',
): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute((tx) => unparkIn(tx, deps, of, { detail, how, now }))
  tellAll(deps)
}

/** The same within what changes the account. */
export async function unparkIn(
  tx: Tx,
  deps: Deps,
  of: AccountName,
  { detail, how, now }: { detail: string; how: 'remember' | 'forget'; now: Date },
): Promise<void> {
  await liftAccount(tx, of, rememberedCodes.filter(blocksAccount), now, how)
  await turnAccounts(tx, foldDeps(deps, now), [
    { of, to: { state: 'healthy', detail, forget: how === 'forget' } },
  ])
  await countChange(tx)
}

const foldDeps = ({ random, settings }: Deps, now: Date) => ({ random, public_url: settings.public_url, now })

function tellAll({ waker }: Deps): void {
  for (const topic of [topics.pass, topics.webhooks, topics.events]) waker.wake(topic)
}
