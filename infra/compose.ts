// Configuration in, a running Berth out: the only file that knows every part.
import { createSecretKey, type KeyObject } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Provider } from '../providers/provider.ts'
import { delivery_ms } from '../jobs/delivery.ts'
import { type Deps, type Log, type ObjectStore, type Sealer, topics } from '../jobs/deps.ts'
import type { Database } from '../jobs/store/schema.ts'
import { resealAll } from '../jobs/reseal.ts'
import { quarantineIfRestored, raiseHighWater } from '../jobs/restore.ts'
import { createHealth } from '../jobs/health.ts'
import { createKeyUse } from '../jobs/key-use.ts'
import { createLanes } from '../jobs/lanes.ts'
import { watched } from '../jobs/watched.ts'
import { newReplicaId, releaseAll } from '../jobs/store/claim.ts'
import { renumberFeed } from '../jobs/store/events.ts'
import { type Config, environment } from './config.ts'
import { createDatabaseClock } from './database-clock.ts'
import { openDatabase } from './db.ts'
import { keepAccounts } from './accounts.ts'
import { describeTable } from './describe-table.ts'
import { checkSecretKey, ensureAdminKey, ensureInstallation, ensureKeys } from './first-start.ts'
import { lockFolder } from './folder-lock.ts'
import { gather } from './gather.ts'
import { highWaterFile } from './high-water.ts'
import { createLog } from './log.ts'
import { openLogFiles } from './log-files.ts'
import { createMeter } from './metrics.ts'
import { type Loops, startLoops } from './loops.ts'
import { createFolderStore } from './object-store.ts'
import { keepOffers } from './offers.ts'
import { createOutboundFetch, resolveTarget } from './outbound.ts'
// At the start, so that no call waits for it: an edge function loads it with its first.
import './outbound-client.ts'
import { checkTarget } from './targets.ts'
import { createImageResolver, registryBound_ms } from './registry.ts'
import { createIdentity } from './identity.ts'
import { createMailer } from './mail.ts'
import { ratesOf, settingsOf } from './domain-settings.ts'
import { loadOtherKey, loadSecretKey, openSealer } from './secrets.ts'
import { nudgeByPostgres, type Nudges } from './nudge.ts'
import { programVersions } from './program-version.ts'
import { pooledRandom } from './random.ts'
import { readRunnerFiles } from './runner-files.ts'
import { vendors } from './vendors/vendors.ts'
import { createColumnReader } from './tables/reader.ts'
import { samplePrices } from './tables/samples.ts'
import { createWaker } from './waker.ts'

export interface Berth {
  deps: Deps
  /** Whether this start made the admin key file. */
  made_admin_key: boolean
  /** Starts the background work; the address is where runners reach this server. */
  start: (address: string) => Promise<Loops>
  close: () => Promise<void>
}

/**
 * Opens everything that a configuration names; `accounts` are places to run besides. Throws with a message that says
 * what to do.
 */
export async function compose(config: Config, accounts: readonly Provider[] = []): Promise<Berth> {
  mkdirSync(config.data_dir, { recursive: true, mode: 0o700 })
  const lock = config.database_url === null ? lockFolder(config.data_dir) : null
  try {
    return await open(config, accounts, () => lock?.release())
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** What is the same whatever is configured. */
const unconfigured = () => ({
  lanes: createLanes(),
  key_use: createKeyUse(),
  gather,
  describe_table: describeTable,
  tables: createColumnReader(),
  sample_prices: samplePrices,
  vendors: async () => vendors,
})

async function open(config: Config, fixed: readonly Provider[], unlock: () => void): Promise<Berth> {
  const [{ log, told, close_log }, random] = [openLog(config), pooledRandom()]
  const high_water = highWaterFile(config.data_dir)
  const [key, sealer] = [loadSecretKey(config), openSealer(config)]
  const objects = await openStore(config, random, log)
  const { db, close, migrate } = await openDatabase(config)
  try {
    await migrate()
    const opened = { db, sealer, random, log, key, mark: high_water.read() }
    const { clock, made_admin_key, ...known } = await prepare(config, opened)
    let [address, own] = ['', '']
    const local = config.local_provider ? await openLocal(config, () => own) : null
    const given = { clock, log, fixed, local, deps_of: () => deps }
    const { nudges, waker, health, accounts, meter } = callingOf(config, given)
    const offers = keepOffers(accounts, { asks: config.roles.includes('offers') })
    const deps: Deps = {
      db,
      clock,
      random,
      sealer,
      store: objects.store,
      ...known,
      providers: accounts.providers,
      ...unconfigured(),
      offers: offers.now,
      offer_sources: offers.sources,
      waker,
      health,
      ...told,
      meter,
      ...outwardOf(config),
      rates: ratesOf(config, clock, random),
      settings: settingsOf(config, () => address, programVersions(config.images)),
      log,
    }
    return {
      deps,
      made_admin_key,
      async start(listening) {
        address = config.public_url ?? listening
        // Programs of this machine may not reach the public address; by TLS a server is called by the name in its certificate.
        own = config.tls === null ? listening : address
        await local?.announce(own)
        await accounts.refresh(deps)
        await offers.refresh(deps)
        return startLoops(
          {
            deps,
            accounts,
            replica: newReplicaId(clock, random),
            sync: clock.sync,
            offers,
            folders: local,
            raise_high_water: async () => high_water.write(await raiseHighWater(deps)),
          },
          config.roles,
        )
      },
      async close() {
        await nudges?.close()
        await close()
        objects.close()
        close_log()
        unlock()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

function openLog({ log_level, log_dir }: Config) {
  const files = log_dir === null ? null : openLogFiles(log_dir, () => new Date())
  const told: Pick<Deps, 'access'> = files
    ? { access: (access) => files.write('api', JSON.stringify({ class: 'api', ...access })) }
    : {}
  return { log: createLog(log_level, files), told, close_log: () => files?.close() }
}

interface Called {
  clock: Deps['clock']
  deps_of: () => Deps
  log: Log
  fixed: readonly Provider[]
  local: Local | null
}

/** The accounts, with what watches the calls of them. */
function callingOf(config: Config, { clock, log, fixed, local, deps_of }: Called) {
  const meter = createMeter(deps_of, { process: true })
  const nudges = nudgesOf(config, log)
  const waker = nudges?.waker ?? createWaker()
  const health = createHealth({
    clock,
    pause: (ms, signal) => sleep(ms, undefined, { signal }),
    tell: () => waker.wake(topics.health),
    meter,
  })
  const named = local ? [local.provider, ...fixed] : fixed
  const accounts = keepAccounts(named.map((provider) => watched(provider, health)))
  return { nudges, waker, health, accounts, meter }
}

type Outward = Pick<
  Deps,
  'outbound_fetch' | 'check_target' | 'resolve_target' | 'resolve_image' | 'runner_files'
>

/** Calls to addresses that tenants choose, registries among them, and the runner that containers fetch. */
function outwardOf(config: Config): Outward {
  const bounds = { allow_private: config.allow_private_targets, timeout_ms: delivery_ms }
  const runner_files = readRunnerFiles()
  return {
    outbound_fetch: createOutboundFetch(bounds),
    check_target: (url) => checkTarget(url, bounds),
    resolve_target: (url) => resolveTarget(url, bounds),
    resolve_image: createImageResolver({
      fetch: createOutboundFetch({ ...bounds, timeout_ms: registryBound_ms }),
      now: () => new Date(),
    }),
    runner_files: async () => runner_files,
  }
}

/** The SDK is loaded only where a bucket is named. */
async function openStore(
  config: Config,
  random: (bytes: number) => Uint8Array,
  log: Log,
): Promise<{ store: ObjectStore; close: () => void }> {
  const { data_dir, object_store } = config
  if (object_store === null)
    return { store: createFolderStore(join(data_dir, 'objects')), close: () => undefined }
  const now = () => new Date()
  const { createS3Store } = await import('./s3-store.ts')
  const { checkBucket, tidyUnfinished } = await import('./s3-start.ts')
  const { store, client, close } = createS3Store(object_store, { data_dir, now, log })
  const start = { client, store, random, now, log }
  await checkBucket(object_store, start)
  await tidyUnfinished(object_store, start)
  return { store, close }
}

function nudgesOf({ database_url, database_timeout_ms }: Config, log: Log): Nudges | null {
  return database_url === null ? null : nudgeByPostgres(database_url, database_timeout_ms, createWaker(), log)
}

interface Preparation {
  db: Database
  /** The secret key. */
  key: Buffer
  sealer: Sealer
  random: (bytes: number) => Uint8Array
  log: Log
  /** The newest time that the database is known to have held. */
  mark: Date | null
}

/** Brings a migrated database to where work can begin; refuses one whose secrets the key does not open. */
async function prepare(config: Config, { db, sealer, random, log, key, mark }: Preparation) {
  const clock = await createDatabaseClock(db)
  const installation = await ensureInstallation({ db, clock, random, sealer })
  await checkSecretKey({ db, sealer })
  // The folder's lock says that whoever held these is dead, and that no other server needs another key.
  if (config.database_url === null) await releaseAll(db)
  const resealed = config.database_url === null ? await resealAll({ db, sealer }) : 0
  if (resealed > 0) log('info', `${resealed} secrets were sealed anew: the other key is not needed any more`)
  if (await renumberFeed(db))
    log('warn', 'the database was put back from a copy: readers of /v1/events begin anew')
  const made_admin_key = await ensureAdminKey(
    { db, clock, random, sealer },
    config.admin_key_file,
    config.database_url !== null,
  )
  if (await quarantineIfRestored({ db, clock }, mark))
    log('warn', 'the database is older than this data folder: for a day nothing unknown is stopped')
  // Of a database that has none yet, the other key is the one that it was used with.
  const keys = await ensureKeys({ db, sealer }, loadOtherKey(config) ?? key)
  const runner_key: KeyObject = createSecretKey(keys.runner)
  const send_mail = config.mail === null ? null : createMailer(config.mail)
  const verifies_email = send_mail !== null
  const identity = createIdentity({ db, random, key: keys.identity, installation, verifies_email, log })
  return { clock, installation, made_admin_key, runner_key, identity, send_mail }
}

interface Local {
  provider: Provider
  /** Tells runners that are already at work where this server listens now. */
  announce: (address: string) => Promise<void>
  /** Attempts that have a folder here, oldest first. */
  present: () => Promise<string[]>
  remove: (attempt_ids: string[]) => Promise<unknown>
}

async function openLocal(config: Config, berth_url: () => string): Promise<Local> {
  const { createLocalProvider } = await import('../providers/local/local.ts')
  const { sweepLocalFolders, writeBerthUrl } = await import('../providers/local/folder.ts')
  const folder = join(config.data_dir, 'local')
  return {
    provider: createLocalProvider({
      account: 'local',
      host: hostname(),
      folder,
      python: config.python,
      program: (kind) => (programs.has(kind) ? [config.python, '-m', `berth_${kind}`] : null),
      usd_per_hour: config.local_usd_per_hour,
      slots_cpu: config.local_slots,
      slots_gpu: gpuSlots,
      inherited_env: environment(),
      env: {},
      berth_url,
      clock: { now: () => new Date() },
    }),
    announce: (address) => writeBerthUrl(folder, address),
    present: async () => (await readdir(folder)).filter((name) => name.startsWith('att_')).toSorted(),
    remove: (attempt_ids) => sweepLocalFolders(folder, attempt_ids),
  }
}

/** Kinds with a program of ours. */
const programs = new Set(['backtest', 'training'])

/** Backtests at once on one GPU. */
const gpuSlots = 4
