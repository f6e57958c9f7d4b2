// A cloud account in memory, in virtual time, that lies as clouds do, by a seeded plan. It keeps its own bill and
// remembers every machine that ever ran, so that what Berth believes can be compared with what was.
import type { ProviderError, ProviderErrorCode } from '../../providers/errors.ts'
import type {
  Found,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  ProviderTraits,
  Ref,
} from '../../providers/provider.ts'

/** Time and chance, given by whoever owns the world. */
export interface CloudWorld {
  now_ms: () => number
  /** Resolves after virtual time, whoever lives: what was sent to a cloud arrives though its sender died. */
  sleep: (ms: number, label: string) => Promise<void>
  chance: (probability: number) => boolean
  between: (from: number, to: number) => number
  trace: (line: string) => void
  /** The class by which the code under test knows what a provider answers. */
  ProviderError: typeof ProviderError
}

/** How likely each lie is, for each call or machine. */
export interface CloudFaults {
  /** The answer is lost after the call took effect. */
  lost_answer: number
  /** The call fails before it took effect, and nobody can tell. */
  lost_call: number
  /** An error is answered although the machine was created. */
  error_but_created: number
  /** "No capacity" is answered although the machine was created: only a scan can find it. */
  denied: number
  throttled: number
  stock_out: number
  /** Quota, a refused request or a bad credential. */
  refused: number
  /** A launch takes effect long after its call was given up: the vendor had queued it. */
  late_effect: number
  /** The call takes effect, or answers, after a long time. */
  slow_call: number
  slow_boot: number
  /** The machine is paid for and its runner never speaks. */
  no_boot: number
  /** Spot machines that are taken back, with and without two minutes' notice. */
  reclaim_with_notice: number
  reclaim: number
  /** An inspect, and at times the listing too, that knows nothing of a running machine for less than 30 s. */
  glitch: number
}
export const noFaults: CloudFaults = {
  lost_answer: 0,
  lost_call: 0,
  error_but_created: 0,
  denied: 0,
  throttled: 0,
  stock_out: 0,
  refused: 0,
  late_effect: 0,
  slow_call: 0,
  slow_boot: 0,
  no_boot: 0,
  reclaim_with_notice: 0,
  reclaim: 0,
  glitch: 0,
}

export interface CloudAccount {
  name: string
  account: string
  traits: ProviderTraits
  offers: Offer[]
  boot_ms: readonly [number, number]
  stop_ms: readonly [number, number]
  /** Containers end with their runner; a virtual machine goes on, and costs, until it is stopped. */
  ends_with_runner: boolean
  faults: CloudFaults
}

export interface Machine {
  id: string
  attempt_id: string
  request: LaunchRequest
  token: string
  /** When the vendor's bill starts and ends. */
  from_ms: number
  to_ms: number | null
  why: 'stopped' | 'exited' | 'reclaimed' | 'vanished' | 'dead_man' | null
  exit_code: number | null
  /** When inspect and list show it. */
  visible_ms: number
  booted_ms: number | null
  stop_called_ms: number | null
  /** While inspect lies about it. */
  glitch: readonly [number, number] | null
  /** Whether the listing lies with it. */
  unlisted: boolean
  /** Whether the vendor said that it had not made it. */
  denied: boolean
}

export interface CloudHooks {
  /** A launch call has arrived. */
  called: (request: LaunchRequest, token: string) => void
  created: (machine: Machine) => void
  booted: (machine: Machine) => void
  /** The vendor says that it will take the machine back. */
  noticed: (machine: Machine) => void
  stopping: (machine: Machine) => void
  ended: (machine: Machine) => void
}

export interface ModelCloud {
  provider: Provider
  account: CloudAccount
  machines: Machine[]
  /** The runner's process has ended. */
  exit: (machine: Machine, exit_code: number | null) => void
  /** The vendor takes a machine away, at once. */
  vanish: (machine: Machine) => void
  /** No call is answered until then. */
  down_until: (ms: number) => void
  /** inspect knows nothing of half of the machines until then, though they run and list shows them. */
  blind_until: (ms: number) => void
  calm: () => void
}

/** Calls are given up by their adapter after this, with an unknown outcome. */
const call_ms = 60_000
/** What takes effect does so within this time of the call. */
const effect_ms = 30_000

export function createModelCloud(
  world: CloudWorld,
  account: CloudAccount,
  hooks: CloudHooks,
  fingerprint: () => string,
): ModelCloud {
  const machines: Machine[] = []
  let down_ms = 0
  let blind_ms = 0
  const { name, traits } = account
  const fail = (code: ProviderErrorCode, detail: string) =>
    new world.ProviderError(code, { provider: name, detail })
  const isDown = () => world.now_ms() < down_ms
  const visible = (machine: Machine) => world.now_ms() >= machine.visible_ms
  const lied = (machine: Machine) => {
    const { glitch } = machine
    const now = world.now_ms()
    return (
      (glitch && now >= glitch[0] && now < glitch[1]) || (now < blind_ms && machine.id.charCodeAt(0) % 5 > 0)
    )
  }
  const end = (machine: Machine, why: Machine['why'], exit_code: number | null = null) => {
    if (machine.to_ms !== null) return
    Object.assign(machine, { to_ms: world.now_ms(), why, exit_code })
    world.trace(`${name} machine of ${machine.attempt_id} ends: ${why}`)
    hooks.ended(machine)
  }
  const transit = async (call: string, longest_ms: number) => {
    const slow = world.chance(account.faults.slow_call)
    await world.sleep(slow ? world.between(5_000, longest_ms) : world.between(20, 800), `${name} ${call}`)
  }
  const give_up = async (call: string) => {
    await world.sleep(call_ms - effect_ms, `${name} ${call} is given up`)
    throw fail('unknown_outcome', `${call} timed out`)
  }
  const known = ({ attempt_id, handle }: Ref) =>
    machines.find(
      (machine) =>
        machine.attempt_id === attempt_id &&
        visible(machine) &&
        (!handle || handle['machine'] === machine.id),
    )
  const create = (request: LaunchRequest, token: string) => {
    const lag = traits.list_lag_ms
    const machine: Machine = {
      id: fingerprint(),
      attempt_id: request.attempt_id,
      request,
      token,
      from_ms: world.now_ms(),
      to_ms: null,
      why: null,
      exit_code: null,
      visible_ms: world.now_ms() + (lag > 0 ? world.between(0, lag) : 0),
      booted_ms: null,
      stop_called_ms: null,
      glitch: null,
      unlisted: world.chance(0.5),
      denied: false,
    }
    machines.push(machine)
    world.trace(`${name} creates a machine of ${request.attempt_id}`)
    hooks.created(machine)
    void live(machine)
    return machine
  }
  const live = async (machine: Machine) => {
    const { faults } = account
    const deadline_ms = Date.parse(machine.request.deadline_at) - world.now_ms()
    void world
      .sleep(deadline_ms, `${name} dead-man switch of ${machine.attempt_id}`)
      .then(() => end(machine, 'dead_man'))
    if (world.chance(faults.glitch)) {
      const from = world.now_ms() + world.between(5_000, 60_000)
      machine.glitch = [from, from + world.between(1_000, 25_000)]
    }
    if (world.chance(faults.no_boot)) return
    const slow = world.chance(faults.slow_boot)
    const longest = traits.boot_bound_s * 1_000
    const [soon, late] = slow ? [longest / 2, longest * 1.2] : account.boot_ms
    await world.sleep(world.between(soon, late), `${name} boots ${machine.attempt_id}`)
    if (machine.to_ms !== null || machine.stop_called_ms !== null) return
    machine.booted_ms = world.now_ms()
    hooks.booted(machine)
    if (!machine.request.offer.spot) return
    const noticed = world.chance(faults.reclaim_with_notice)
    if (!noticed && !world.chance(faults.reclaim)) return
    await world.sleep(world.between(1_000, 60_000), `${name} wants ${machine.attempt_id} back`)
    if (machine.to_ms !== null) return
    if (noticed) {
      hooks.noticed(machine)
      await world.sleep(world.between(5_000, 120_000), `${name} takes ${machine.attempt_id} back`)
    }
    end(machine, 'reclaimed')
  }
  const observationOf = (ref: Ref): Observation => {
    const machine = known(ref)
    if (!machine || lied(machine)) return { state: 'gone', detail: null }
    if (machine.to_ms === null) {
      if (machine.stop_called_ms !== null) return { state: 'running', detail: 'stopping' }
      return machine.booted_ms === null
        ? { state: 'pending', detail: 'starting' }
        : { state: 'running', detail: null }
    }
    return machine.why === 'exited'
      ? { state: 'exited', exit_code: machine.exit_code, detail: null }
      : { state: 'gone', detail: machine.why }
  }
  const provider: Provider = {
    name,
    account: account.account,
    traits,
    check: () => Promise.resolve([]),
    offers: () => Promise.resolve(account.offers),
    async launch(request, { token }) {
      const { faults } = account
      await transit('launch', effect_ms)
      hooks.called(request, token)
      if (isDown()) throw fail('unavailable', 'the API is down')
      if (world.chance(faults.throttled)) throw fail('throttled', 'slow down')
      if (world.chance(faults.lost_call)) return give_up('launch')
      const before = traits.launch_token
        ? machines.find(({ attempt_id }) => attempt_id === request.attempt_id)
        : known({ attempt_id: request.attempt_id, handle: null, request })
      if (!before && world.chance(faults.stock_out)) throw fail('capacity', request.offer.id)
      if (!before && world.chance(faults.refused))
        throw fail(
          (['quota', 'rejected', 'unauthorized', 'balance'] as const)[world.between(0, 3)] ?? 'quota',
          request.offer.id,
        )
      // Without a launch token nobody could tell such a machine from a second one: see the waiting rule.
      if (!before && traits.launch_token && world.chance(faults.late_effect)) {
        const late = world.sleep(world.between(call_ms, 4 * call_ms), `${name} gets to ${request.attempt_id}`)
        void late.then(() => {
          if (!machines.some(({ attempt_id }) => attempt_id === request.attempt_id)) create(request, token)
        })
        return give_up('launch')
      }
      const machine = before ?? create(request, token)
      if (!before && world.chance(faults.denied)) {
        machine.denied = true
        throw fail('capacity', request.offer.id)
      }
      if (world.chance(faults.error_but_created)) throw fail('unknown_outcome', 'HTTP 500')
      if (world.chance(faults.lost_answer)) return give_up('launch')
      await transit('launch answers', call_ms - effect_ms)
      return { machine: machine.id }
    },
    async inspect(refs) {
      await transit('inspect', 10_000)
      if (isDown()) throw fail('unavailable', 'the API is down')
      if (world.chance(account.faults.throttled)) throw fail('throttled', 'slow down')
      const seen = refs.map(observationOf)
      await transit('inspect answers', 10_000)
      return seen
    },
    async stop(ref) {
      const { faults } = account
      await transit('stop', effect_ms)
      if (isDown()) throw fail('unavailable', 'the API is down')
      if (world.chance(faults.throttled)) throw fail('throttled', 'slow down')
      if (world.chance(faults.lost_call)) return give_up('stop')
      const machine = known(ref)
      if (machine && machine.to_ms === null && machine.stop_called_ms === null) {
        machine.stop_called_ms = world.now_ms()
        world.trace(`${name} stops the machine of ${ref.attempt_id}`)
        hooks.stopping(machine)
        void world
          .sleep(world.between(...account.stop_ms), `${name} has stopped ${ref.attempt_id}`)
          .then(() => end(machine, 'stopped'))
      }
      if (world.chance(faults.lost_answer)) return give_up('stop')
      await transit('stop answers', call_ms - effect_ms)
    },
    async *list() {
      await transit('list', 10_000)
      if (isDown()) throw fail('unavailable', 'the API is down')
      if (world.chance(account.faults.throttled)) throw fail('throttled', 'slow down')
      const found = machines
        .filter((machine) => machine.to_ms === null && visible(machine) && !isHidden(machine, world.now_ms()))
        .map((machine): Found => ({
          name: machine.request.name,
          attempt_id: machine.attempt_id,
          handle: { machine: machine.id },
          usd_per_hour: machine.request.offer.usd_per_hour,
          since: new Date(machine.from_ms).toISOString(),
        }))
      await transit('list answers', 10_000)
      yield* found
    },
  }
  return {
    provider,
    account,
    machines,
    exit(machine, exit_code) {
      if (account.ends_with_runner) end(machine, 'exited', exit_code)
    },
    vanish: (machine) => end(machine, 'vanished'),
    down_until: (ms) => {
      down_ms = ms
    },
    blind_until: (ms) => {
      blind_ms = ms
    },
    calm() {
      account.faults = noFaults
      down_ms = 0
      blind_ms = 0
    },
  }
}

/** Whether two different calls agree, wrongly, that a machine is gone. */
const isHidden = ({ glitch, unlisted }: Machine, now_ms: number) =>
  unlisted && glitch !== null && now_ms >= glitch[0] && now_ms < glitch[1]

/** Whole micro-dollars of one machine: by the second from its start to its end, with the vendor's minimum. */
export function billMicros(machine: Machine, traits: ProviderTraits): number {
  const seconds = ((machine.to_ms ?? machine.from_ms) - machine.from_ms) / 1_000
  const rate = machine.request.offer.usd_per_hour * 1_000_000
  return Math.ceil((Math.max(seconds, traits.min_billing_s) * rate) / 3_600)
}
