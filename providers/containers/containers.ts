// Runs attempts as containers of one Docker or podman engine. The name of a container is the attempt's own and the
// engine gives it once, which is what makes a repeated launch the same launch.
//
// What is wrong with an image or its command is no refusal of the engine: launch() answers with the handle, and
// inspect() with `exited` and the reason `image`, which stays so until stop(). A registry that cannot be reached or
// throttles is an error of launch(), which is repeated.
//
// An engine has no dead-man switch. The runner keeps its own deadline, and what outlives it on this machine costs
// nothing that a bill would show; traits.dead_man_min_s says 0.

import { ProviderError } from '../errors.ts'
import { type Gpu, offersOf, probeDevices, probeGpus } from '../machine.ts'
import type {
  Check,
  Device,
  Found,
  Handle,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  Ref,
} from '../provider.ts'
import { checkEngine, machineOf } from './capacity.ts'
import { createEngine, type Engine, type EngineAddress } from './engine.ts'
import { launchContainer, type LaunchPolicy } from './launch.ts'
import { foundOf, listContainers, listVolumes, observe } from './observe.ts'
import { unreachable } from './shape.ts'
import { stopContainer } from './stop.ts'
import { readTail } from './tail.ts'

export interface ContainersProviderOptions {
  account: string
  /** Stable name of the engine's machine; handles and offers carry it as their region. */
  host: string
  /** Of this Berth: what does not carry it is neither seen nor touched. */
  installation: string
  engine: EngineAddress
  policy: LaunchPolicy
  usd_per_hour: number
  slots_cpu: number
  /** Of each GPU. */
  slots_gpu: number
  /** Free disk of a machine that this one cannot look at. */
  disk_gib?: number
  /** GPUs of a machine that this one cannot look at; else those that `nvidia-smi` shows here. */
  gpus?: readonly Gpu[]
  /** For nvidia-smi. */
  inherited_env: Readonly<Record<string, string | undefined>>
  clock: { now(): Date }
  /** From a launch to the runner's first word, the pull of a large image in between. */
  boot_bound_s?: number
  /** From SIGTERM to SIGKILL; longer than the runner's own grace of 10 s for its program. */
  stop_grace_s?: number
  /** Longest wait for an answer that costs the engine no work. */
  patience_ms?: number
}

/** 20 GiB at 250 Mbit/s. */
const bootBound_s = 900
const stopGrace_s = 15
const probeKept_ms = 60_000
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

/** A launch of this process: it goes on when the call that began it has no more time. */
interface Launching {
  work: Promise<Handle>
  note: string
  abort: AbortController
}

export function createContainersProvider(options: ContainersProviderOptions): Provider {
  const { account, host, installation } = options
  const engine = createEngine(options.engine, options.patience_ms)
  const launching = new Map<string, Launching>()
  const isHere = 'socket' in options.engine
  const env = { PATH: options.inherited_env['PATH'] ?? '' }
  let gpus: { at: number; found: Promise<Gpu[]> } | null = null

  const gpusNow = async (): Promise<readonly Gpu[]> => {
    if (options.gpus !== undefined || !isHere) return options.gpus ?? []
    const now = options.clock.now().getTime()
    if (gpus === null || now - gpus.at >= probeKept_ms) gpus = { at: now, found: probeGpus(env) }
    return gpus.found
  }

  return {
    name: 'containers',
    account,
    traits: {
      runs_images: true,
      launch_token: true, // the name
      inspect_batch: 1_000,
      list_lag_ms: 0,
      boot_s: 1,
      boot_bound_s: options.boot_bound_s ?? bootBound_s,
      min_billing_s: 0,
      dead_man_min_s: 0,
      calls_per_s: 20, // starting one takes the engine a tenth of a second of a core
      machines: 'socket' in options.engine ? 'here' : 'own',
      billing: 'modelled',
    },
    check: async (signal): Promise<Check[]> =>
      checkEngine(engine, { policy: options.policy, gpus: await gpusNow() }, signal),

    async offers(signal): Promise<Offer[]> {
      const { usd_per_hour, slots_cpu, slots_gpu, disk_gib = null } = options
      const given = { account, region: host, usd_per_hour, slots_cpu, slots_gpu, disk_gib, is_here: isHere }
      return offersOf(await gpusNow(), await machineOf(engine, given, signal))
    },

    ...(isHere ? { devices: (): Promise<Device[]> => probeDevices(env, host) } : {}),

    async launch(request, secrets, signal): Promise<Handle> {
      if (signal.aborted) throw engine.failure('unknown_outcome', 'it was called off')
      const wanted = launchable(options, request)
      const known = launching.get(request.name)
      if (known !== undefined) return waited(engine, known, signal)
      const abort = new AbortController()
      const handle = { host, name: request.name }
      const given = { request: wanted, secrets, policy: options.policy }
      const started: Launching = {
        note: begun,
        abort,
        work: Promise.resolve(handle),
      }
      const note = (text: string) => void (started.note = text)
      started.work = launchContainer(engine, given, note, abort.signal)
        .then(() => handle)
        .finally(() => launching.delete(request.name))
      // Its caller may be gone by the time it fails; the next one begins anew.
      started.work.catch(() => null)
      launching.set(request.name, started)
      return waited(engine, started, signal)
    },

    async inspect(refs, signal): Promise<Observation[]> {
      if (refs.length === 0) return []
      const names = refs.map((ref) => nameOf(options, ref))
      const visible = [...new Set(names.filter((name) => name !== null))]
      if (visible.length === 0) return refs.map(() => unseen)
      const underWay = (name: string) => launching.get(name)?.note ?? null
      const seen = await observe(engine, visible, { installation, underWay }, signal)
      const byName = new Map(visible.map((name, index) => [name, seen[index] ?? unseen]))
      return names.map((name) => (name === null ? unseen : (byName.get(name) ?? unseen)))
    },

    async stop(ref, signal): Promise<void> {
      const name = visibleName(engine, options, ref)
      const under = launching.get(name)
      under?.abort.abort()
      if (under) await waited(engine, under, signal).catch(() => null)
      const grace_s = options.stop_grace_s ?? stopGrace_s
      await stopContainer(engine, { name, installation, grace_s }, signal)
    },

    list: (signal) => listAll(engine, options, signal),

    tail: (ref, signal): Promise<string> => readTail(engine, visibleName(engine, options, ref), signal),
  }
}

const begun = 'the launch has begun'
const unseen: Observation = { state: 'unseen', detail: 'not visible from this host' }

/** @throws ProviderError rejected */
function launchable(
  { host, policy }: ContainersProviderOptions,
  request: LaunchRequest,
): LaunchRequest & { image: string } {
  const rejected = (detail: string) => new ProviderError('rejected', { provider: 'containers', detail })
  const { image, offer, name, berth_url } = request
  if (image === null) throw rejected('a container needs an image')
  if (offer.region !== host) throw rejected('the offer is of another machine')
  if (!namePattern.test(name)) throw rejected('the name of the attempt cannot name a container')
  const why = unreachable(berth_url, policy.network)
  if (why !== null) throw rejected(why)
  return { ...request, image }
}

/** The launch, or `unknown_outcome` when the caller has no more time for it. */
async function waited(engine: Engine, under: Launching, signal: AbortSignal): Promise<Handle> {
  const over = Promise.withResolvers<never>()
  const end = () => over.reject(engine.failure('unknown_outcome', `not over yet: ${under.note}`))
  if (signal.aborted) end()
  signal.addEventListener('abort', end, { once: true })
  try {
    return await Promise.race([under.work, over.promise])
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** null: the ref is of another machine. Offers carry the host as their region. */
function nameOf({ host }: ContainersProviderOptions, ref: Ref): string | null {
  const { handle, request } = ref
  const at = handle === null ? request?.offer.region : handle['host']
  const name = handle === null ? request?.name : handle['name']
  return at === host && typeof name === 'string' && namePattern.test(name) ? name : null
}

function visibleName(engine: Engine, options: ContainersProviderOptions, ref: Ref): string {
  const name = nameOf(options, ref)
  if (name === null) throw engine.failure('unavailable', unseen.detail ?? '')
  return name
}

async function* listAll(
  engine: Engine,
  { host, installation, usd_per_hour }: ContainersProviderOptions,
  signal: AbortSignal,
): AsyncIterable<Found> {
  const containers = await listContainers(engine, installation, signal)
  for (const [name, each] of containers) yield foundOf(name, each, { host, usd_per_hour })
  for (const [name, each] of await listVolumes(engine, installation, signal))
    if (!containers.has(name)) yield foundOf(name, each, { host, usd_per_hour })
}
