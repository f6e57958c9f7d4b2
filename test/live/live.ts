// One attempt on a real account, from its launch to the proof that nothing is left: for owners of accounts. Says each step and what it
// may cost before it is taken, and starts nothing unless it is told to spend.
import { ProviderError } from '../../providers/errors.ts'
import type {
  Found,
  Handle,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  Ref,
} from '../../providers/provider.ts'

export interface LiveOptions {
  provider: Provider
  /** Of this run alone, so that a list shows nothing of anybody else. */
  installation: string
  attempt_id: string
  token: string
  image: string
  command: readonly string[]
  /** Id of the offer; null: the cheapest that is to be had. */
  offer: string | null
  /** The attempt runs no longer. */
  minutes: number
  /** Nothing is started that could cost more. */
  max_usd: number
  /** false: says what it would do. */
  spend: boolean
  signal: AbortSignal
  log: (line: string) => void
  now: () => Date
  pause: (ms: number) => Promise<unknown>
}

export interface LiveResult {
  ok: boolean
  /** At the price of the offer, from the launch to its confirmed end. */
  cost_usd: number
}

/** Between looks; vendors count calls. */
const look_ms = 5_000
/** For an end to be seen, after a stop. */
const end_s = 600
const call_ms = 60_000
const stop_tries = 20

class Stopped extends Error {}

export async function runLive(options: LiveOptions): Promise<LiveResult> {
  const { provider, log, spend } = options
  const offer = await prepare(options)
  if (offer === null) return { ok: false, cost_usd: 0 }
  const request = requestOf(options, offer)
  if (!spend) {
    log('dry run: nothing was started. Add --spend to do it.')
    return { ok: true, cost_usd: 0 }
  }
  const started_ms = options.now().getTime()
  const cost = () => (seconds(options, started_ms) / 3_600) * offer.usd_per_hour
  let failed: string | null = null
  try {
    await tryAttempt(options, request, cost)
  } catch (error) {
    failed = (error as Error).message
    log(`FAILED: ${failed}`)
  }
  const isClean = await cleanUp(options, request)
  const { min_billing_s } = provider.traits
  const billed_s = Math.max(seconds(options, started_ms), min_billing_s)
  const cost_usd = (billed_s / 3_600) * offer.usd_per_hour
  log(
    `about ${usd(cost_usd)} at the price of the offer (${provider.traits.billing}): compare it with the bill`,
  )
  return { ok: failed === null && isClean, cost_usd }
}

/** What would be done; null: it cannot be. */
async function prepare(options: LiveOptions): Promise<Offer | null> {
  const { provider, log, max_usd, minutes, image, command } = options
  log('1. check: reads alone, costs nothing')
  const checks = await provider.check(bounded(options.signal))
  for (const { name, ok, detail } of checks) log(`   ${ok ? 'ok  ' : 'FAIL'} ${name}: ${detail}`)
  if (checks.some(({ ok }) => !ok)) return null
  log('2. offers: reads alone, costs nothing')
  const all = await provider.offers(bounded(options.signal))
  const free = all.filter(({ available, slots }) => available !== 0 && slots !== 0)
  const cheapest = free.toSorted((a, b) => a.usd_per_hour - b.usd_per_hour)
  for (const offer of cheapest.slice(0, 5)) log(`   ${shown(offer)}`)
  const offer = options.offer === null ? cheapest[0] : free.find(({ id }) => id === options.offer)
  if (!offer) {
    log(`   FAIL no offer ${options.offer ?? 'is to be had'}: ${all.length} are listed, ${free.length} free`)
    return null
  }
  const { boot_bound_s, min_billing_s } = provider.traits
  const most_s = Math.max(min_billing_s, boot_bound_s + minutes * 60 + end_s)
  const most_usd = (most_s / 3_600) * offer.usd_per_hour
  log(`3. launch ${image} ${JSON.stringify(command)} on ${shown(offer)}`)
  log(
    `   boots within ${boot_bound_s} s, runs at most ${minutes} min, ends within ${end_s / 60} min of the stop`,
  )
  log(`   costs at most ${usd(most_usd)} (limit ${usd(max_usd)})`)
  log('4. launch it again, as after a lost answer: costs nothing more')
  log('5. watch it, read its log, stop it, stop it again; look for what is left, and end that too')
  if (most_usd <= max_usd) return offer
  log(
    `   FAIL it could cost more than the limit: take fewer --minutes, another --offer or a higher --max-usd`,
  )
  return null
}

function requestOf(options: LiveOptions, offer: Offer): LaunchRequest {
  const { attempt_id, installation, now, minutes, image, command } = options
  return {
    attempt_id,
    name: `berth-${installation.slice(0, 6)}-${attempt_id.slice('att_'.length)}`,
    installation,
    kind: 'custom',
    offer,
    image,
    command,
    device: offer.gpu ? 'cuda' : 'cpu',
    cpu: Math.min(1, offer.cpu),
    memory_gib: Math.min(1, offer.memory_gib),
    disk_gib: Math.min(10, offer.disk_gib),
    deadline_at: new Date(now().getTime() + minutes * 60_000).toISOString(),
    // Nobody answers there: the work is a command of its own.
    berth_url: 'https://berth.example.com',
  }
}

async function tryAttempt(options: LiveOptions, request: LaunchRequest, cost: () => number): Promise<void> {
  const { provider, log, token } = options
  const began_ms = options.now().getTime()
  const launch = () => provider.launch(request, { token }, bounded(options.signal))
  const handle = await launch()
  log(`launched after ${seconds(options, began_ms)} s: ${JSON.stringify(handle)}`)
  if (!provider.traits.launch_token) await options.pause(provider.traits.list_lag_ms)
  same(handle, await launch())
  log('launched again: the same handle')
  const { attempt_id } = request
  const ref: Ref = { attempt_id, handle, request }
  const { boot_bound_s } = provider.traits
  const seen = await until(options, { ref, cost, most_s: boot_bound_s }, ({ state }) => state !== 'pending')
  log(`${told(seen)} after ${seconds(options, began_ms)} s`)
  if (seen.state === 'gone') throw new Stopped(`it is gone: ${seen.detail}`)
  await options.pause(provider.traits.list_lag_ms)
  if (!(await listed(options)).some((found) => found.attempt_id === attempt_id))
    log('not listed: it has ended, or list_lag_ms is too short')
  const most_s = options.minutes * 60
  const isOver = ({ state }: Observation) => state === 'exited' || state === 'gone'
  const ended = await until(options, { ref, cost, most_s }, isOver)
  log(`${told(ended)} after ${seconds(options, began_ms)} s`)
  const tail = (await provider.tail?.(ref, bounded(options.signal))) ?? ''
  log(`the end of its log: ${JSON.stringify(tail.slice(-500))}`)
  // Vendors without exit codes tell none.
  if (ended.state === 'exited' && (ended.exit_code ?? 0) !== 0) throw new Stopped(told(ended))
}

function same(first: Handle, second: Handle): void {
  if (JSON.stringify(first) !== JSON.stringify(second))
    throw new Stopped(`launched again it is another thing: ${JSON.stringify(second)}`)
}

/** Looks until it is so, until its time is up, or until the money is spent. */
async function until(
  options: LiveOptions,
  { ref, cost, most_s }: { ref: Ref; cost: () => number; most_s: number },
  isSo: (seen: Observation) => boolean,
): Promise<Observation> {
  const { provider, max_usd, now } = options
  const end_ms = now().getTime() + most_s * 1_000
  let last = ''
  for (;;) {
    if (options.signal.aborted) throw new Stopped('interrupted')
    const [seen] = await provider.inspect([ref], bounded(options.signal))
    if (seen && told(seen) !== last) options.log(`   ${(last = told(seen))}`)
    if (seen && isSo(seen)) return seen
    if (cost() > max_usd) throw new Stopped(`it has cost ${usd(cost())}, the limit is ${usd(max_usd)}`)
    if (now().getTime() > end_ms) throw new Stopped('its time is up')
    await options.pause(look_ms)
  }
}

/** Ends everything of this run, whatever went wrong, and proves it by a list. An interrupt does not end it. */
async function cleanUp(options: LiveOptions, request: LaunchRequest): Promise<boolean> {
  const { provider, log } = options
  const own: Ref = { attempt_id: request.attempt_id, handle: null, request }
  let left = 'nobody could be asked'
  for (let tries = 0; tries < stop_tries; tries++) {
    await options.pause(tries === 0 ? provider.traits.list_lag_ms : (end_s * 1_000) / stop_tries)
    try {
      await provider.stop(own, bounded())
      const found = await listed({ ...options, signal: new AbortController().signal })
      for (const { attempt_id, handle } of found)
        await provider.stop(
          { attempt_id: attempt_id ?? request.attempt_id, handle, request: null },
          bounded(),
        )
      const [seen] = await provider.inspect([own], bounded())
      const isOver = seen?.state === 'gone' || seen?.state === 'exited'
      left = found.map(({ name }) => name).join(', ') || (seen ? told(seen) : 'unknown')
      if (found.length === 0 && isOver) {
        log(`clean: nothing of installation ${options.installation} is listed, and the attempt is over`)
        return true
      }
    } catch (error) {
      left = error instanceof ProviderError ? error.message : 'the adapter failed'
      log(`   ${left}: once more`)
    }
  }
  log(`LEFT: ${left}. End it in the vendor's console: it is named ${request.name}.`)
  return false
}

async function listed({ provider, signal }: Pick<LiveOptions, 'provider' | 'signal'>): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of provider.list(bounded(signal))) found.push(each)
  return found
}

const bounded = (signal?: AbortSignal): AbortSignal =>
  AbortSignal.any([...(signal ? [signal] : []), AbortSignal.timeout(call_ms)])

const seconds = ({ now }: Pick<LiveOptions, 'now'>, from_ms: number): number =>
  Math.round((now().getTime() - from_ms) / 1_000)

const usd = (amount: number): string => `$${amount.toFixed(4)}`

const shown = ({ id, region, gpu, cpu, memory_gib, spot, usd_per_hour }: Offer): string =>
  `${id} in ${region}: ${gpu ? `${gpu.count} x ${gpu.model}, ` : ''}${cpu} vCPU, ${memory_gib} GiB, ${spot ? 'spot, ' : ''}${usd(usd_per_hour)}/h`

const told = (seen: Observation): string => {
  const reason = 'reason' in seen && seen.reason ? ` (${seen.reason})` : ''
  const code = seen.state === 'exited' ? ` with ${seen.exit_code ?? 'no code'}` : ''
  return `${seen.state}${code}${reason}${seen.detail ? `: ${seen.detail}` : ''}`
}
