// Bindings in, a Berth for an edge function out: the same app on the same database, with what a runtime without files and
// without programs has. An entry a runtime (workerd.ts, lambda.ts, deno.ts, bun.ts, node.ts) gives it sockets and a trigger.
import { createSecretKey, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLazyApp } from '../../functions/_lazy-app.ts'
import { delivery_ms } from '../../jobs/delivery.ts'
import { type Deps, type Log, topics, type Waker } from '../../jobs/deps.ts'
import { createHealth } from '../../jobs/health.ts'
import type { Mail } from '../../jobs/identity.ts'
import { createKeyUse } from '../../jobs/key-use.ts'
import { createLanes } from '../../jobs/lanes.ts'
import type { Database } from '../../jobs/store/schema.ts'
import { type Accounts, keepAccounts } from '../accounts.ts'
import { createDatabaseClock } from '../database-clock.ts'
import { ratesOf, settingsOf } from '../domain-settings.ts'
import { gather } from '../gather.ts'
import { healthOf } from '../health-only.ts'
import { createIdentity } from '../identity.ts'
import { nudgeByPostgres } from '../nudge.ts'
import { keepOffers, type OfferBooks } from '../offers.ts'
import { versionsWith } from '../program-version.ts'
import { createImageResolver, registryBound_ms } from '../registry.ts'
import { openSealer } from '../secrets.ts'
import { checkTarget, type OutboundOptions } from '../targets.ts'
import { createWaker } from '../waker.ts'
import { readAssets } from './assets.ts'
import { type EdgeDatabase, type Life, openEdgeDatabase } from './database.ts'
import { openInstallation } from './installation.ts'
import { createConsoleLog } from './log.ts'
import { type Bindings, type EdgeConfig, edgeConfig } from './settings.ts'
import { createFetchStore } from './store.ts'
import { createInlineReader } from './tables.ts'
import { createEdgeWaker } from './waker.ts'

/** What differs from runtime to runtime. */
export interface Runtime {
  life: Life
  outbound: (options: OutboundOptions) => Deps['outbound_fetch']
  resolve_target: (url: string, options: { allow_private: boolean }) => Promise<string | null>
}

export interface Composed {
  config: EdgeConfig
  database: EdgeDatabase
  deps: Deps
  accounts: Accounts
  offers: OfferBooks
  fetch: ReturnType<typeof healthOf>
  /** Takes in the database's time, and what others have changed of accounts and offers, unless it just has. */
  freshen: () => Promise<void>
  /** What is left to do when a request was answered. */
  settle: () => Promise<void>
  close: () => Promise<void>
}

/** As often as a server on Node looks at what others have changed; the database's time drifts by less than a millisecond meanwhile. */
const fresh_ms = 5_000
/** When a key was last used is told to the minute. */
const keyUse_ms = 60_000
/** As often as a server on Node: a share of the bounds on requests is held for some seconds. */
const rates_ms = 1_000

/** What a function stands on: nothing has been asked of the database yet. */
export interface Base {
  config: EdgeConfig
  database: EdgeDatabase
}

/** Throws with a message that says what to do. */
export async function openBase(bindings: Bindings, { life }: Runtime): Promise<Base> {
  const config = edgeConfig(bindings)
  return { config, database: await openEdgeDatabase(config, life) }
}

/** Within a request of that database. Throws with a message that says what to do. */
export async function compose({ config, database }: Base, runtime: Runtime): Promise<Composed> {
  const { db } = database
  const accounts = keepAccounts([])
  const offers = keepOffers(accounts, { asks: false })
  const told = wakerOf(config, runtime.life, createConsoleLog(config.log_level))
  const opened = await openDeps({ config, database, runtime, accounts, offers, waker: told.waker })
  const { deps, sync } = opened
  const app = createLazyApp(deps)
  // It has just been set. Half as long, so that it is set again whenever the rest is looked at.
  const setClock = freshener(sync, fresh_ms / 2, Date.now())
  const freshen = freshener(async () => {
    await setClock()
    await accounts.refresh(deps)
    await offers.look(deps)
  })
  told.on_accounts(freshen.soon)
  const useKeys = freshener(async () => deps.key_use?.write(deps), keyUse_ms)
  const shareRates = freshener(async () => deps.rates?.lease(deps), rates_ms)
  return {
    config,
    database,
    deps,
    accounts,
    offers,
    fetch: config.roles.includes('api') ? app.fetch : healthOf(app.fetch),
    freshen,
    async settle() {
      await told.tell(db)
      await useKeys()
      await shareRates()
    },
    async close() {
      await deps.key_use?.write(deps)
      await told.unlisten()
      await database.close()
    },
  }
}

interface Parts {
  config: EdgeConfig
  database: EdgeDatabase
  runtime: Runtime
  accounts: Accounts
  offers: OfferBooks
  waker: Waker
}

/** As infra/compose.ts makes them of a machine. */
async function openDeps({ config, database, runtime, accounts, offers, waker }: Parts) {
  const { db, later } = database
  const log = createConsoleLog(config.log_level)
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
  const [sealer, assets, clock] = [openSealer(config), readAssets(), await createDatabaseClock(db)]
  const {
    installation,
    runner_key,
    identity_key: key,
  } = await openInstallation({ db, clock, random, sealer }, { config, migration: assets.migration })
  const health = createHealth({
    clock,
    pause: (ms, signal) => sleep(ms, undefined, { signal }),
    tell: () => waker.wake(topics.health),
  })
  const send_mail = config.mail === null ? null : mailerOf(config.mail, later)
  const verifies_email = send_mail !== null
  const deps: Deps = {
    db,
    clock,
    random,
    // Of one process a group is answered at once; else no request does anything for another.
    gather: runtime.life === 'process' ? gather : null,
    store: createFetchStore(config.object_store),
    describe_table: async (format, file) =>
      (await import('../describe-table.ts')).describeTable(format, file),
    tables: createInlineReader(),
    sample_prices: async () => null,
    sealer,
    runner_key: createSecretKey(runner_key),
    identity: createIdentity({ db, random, key, installation, verifies_email, log }),
    send_mail,
    installation,
    providers: accounts.providers,
    vendors: async () => (await import('./vendors.ts')).edgeVendors,
    offers: offers.now,
    offer_sources: offers.sources,
    waker,
    lanes: createLanes(),
    health,
    key_use: createKeyUse(),
    ...outwardOf(config, runtime),
    rates: ratesOf(config, clock, random),
    settings: settingsOf(config, () => config.public_url ?? '', versionsWith(assets.programs, config.images)),
    runner_files: async () => (await import('./runner-files.ts')).bundledFiles(),
    log,
  }
  return { deps, sync: clock.sync }
}

/** Does something again when it was done longer ago; by the clock of the day, for a frozen program's other one stands still. */
function freshener(work: () => Promise<unknown>, ms = fresh_ms, last_ms = Number.NEGATIVE_INFINITY) {
  let done_ms = last_ms
  const freshen = async () => {
    const now_ms = Date.now()
    if (now_ms - done_ms < ms) return
    await work()
    done_ms = now_ms
  }
  return Object.assign(freshen, { soon: () => void (done_ms = Number.NEGATIVE_INFINITY) })
}

/** A process listens and is told; others tell, and look again after a while. */
function wakerOf({ database_url, database_timeout_ms }: EdgeConfig, life: Life, log: Log) {
  const edge = life === 'process' ? null : createEdgeWaker()
  const nudges = edge ? null : nudgeByPostgres(database_url, database_timeout_ms, createWaker(), log)
  const own: Waker = edge ?? nudges?.waker ?? createWaker()
  let soon = () => {}
  return {
    waker: {
      wait: own.wait,
      wake(topic: string) {
        if (topic === topics.accounts) soon()
        own.wake(topic)
      },
    },
    /** What an account that was changed makes stale. */
    on_accounts: (then: () => void) => void (soon = then),
    tell: async (db: Database) => edge?.tell(db),
    unlisten: async () => nudges?.close(),
  }
}

/** Loaded with the first mail. Who asked for one is answered before it is sent, or the time would tell whether there is such a person. */
function mailerOf(
  mail: NonNullable<EdgeConfig['mail']>,
  later: EdgeDatabase['later'],
): NonNullable<Deps['send_mail']> {
  let opened: Promise<NonNullable<Deps['send_mail']>> | null = null
  const send = async (message: Mail) => {
    opened ??= import('../mail.ts').then(({ createMailer }) => createMailer(mail))
    await (
      await opened
    )(message)
  }
  return (message) => {
    const sent = send(message)
    later(sent)
    return sent
  }
}

/** Calls to addresses that tenants choose. What a registry has answered is kept by none: another request may have asked. */
function outwardOf(
  { allow_private_targets: allow_private }: EdgeConfig,
  { outbound, resolve_target }: Runtime,
): Pick<Deps, 'outbound_fetch' | 'check_target' | 'resolve_target' | 'resolve_image'> {
  const registry = {
    fetch: outbound({ allow_private, timeout_ms: registryBound_ms }),
    now: () => new Date(),
  }
  return {
    outbound_fetch: outbound({ allow_private, timeout_ms: delivery_ms }),
    check_target: (url) => checkTarget(url, { allow_private }),
    resolve_target: (url) => resolve_target(url, { allow_private }),
    resolve_image: (image, login) => createImageResolver(registry)(image, login),
  }
}
