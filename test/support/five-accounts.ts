// Five accounts at four vendors, each its real adapter against its fake, on one clock with the core, their calls watched as a server
// watches them. Prices rise in the order of the accounts, by so much that no machine is cheaper for starting sooner.
import { catalogueOf } from '../../jobs/catalogue.ts'
import { probeAccounts, writeHealth } from '../../jobs/parking.ts'
import { watched } from '../../jobs/watched.ts'
import { createAwsProvider } from '../../providers/aws/aws.ts'
import type { BackEnd, Fault } from '../../providers/conformance/subject.ts'
import { createNomadProvider } from '../../providers/nomad/nomad.ts'
import type { Handle, LaunchRequest, Provider } from '../../providers/provider.ts'
import { createRunpodProvider } from '../../providers/runpod/runpod.ts'
import { openNomad } from '../fakes/nomad.ts'
import { cpuType, installation, openFakeEcs, openProvider } from './alibaba-account.ts'
import { backOfEcs } from './alibaba-subject.ts'
import { awsOptions, gpu, openFakeAws, spot } from './aws-subject.ts'
import { nomadOptions } from './nomad-subject.ts'
import { openFakeRunpod, runpodOptions } from './runpod-subject.ts'
import type { World } from './world.ts'

const call_ms = 60_000
const image = 'registry.example.test/runner@sha256:0'
/** As small as the smallest shape. */
export const resources = { cpu: 0.5, memory_gib: 0.5, disk_gib: 0.5 }

interface Side {
  provider: Provider
  back: BackEnd
  now_ms: () => number
  pass: (ms: number) => Promise<void> | void
  close: () => Promise<void>
}

export interface Launched {
  request: LaunchRequest
  token: string
  handle: Handle | null
}

export async function openFiveAccounts(world: World) {
  const sides: Record<string, Side> = {
    'alibaba/first': await ecs('first', { price: 0.02, spot: 0.004 }),
    'runpod/desk': await pods(),
    'aws/desk': await batch(),
    'alibaba/second': await ecs('second', { price: 9, spot: 6 }),
    'nomad/desk': await cluster(),
  }
  const all = Object.values(sides)
  const launched = new Map<string, Launched>()
  const pass = async (seconds: number) => {
    world.advance(seconds)
    for (const side of all) await side.pass(seconds * 1_000)
  }
  const start_ms = Math.max(world.deps.clock.now().getTime(), ...all.map((side) => side.now_ms()))
  world.advance((start_ms - world.deps.clock.now().getTime()) / 1_000)
  for (const side of all) await side.pass(start_ms - side.now_ms())
  const providers = all.map(({ provider }) => watched(heard(provider, launched), world.deps.health))
  const offers = catalogueOf((await Promise.all(providers.map((each) => each.offers(soon())))).flat())
  Object.assign(world.deps, { providers, installation, offers: () => offers })
  Object.assign(world.deps.settings, { image: () => image })
  return {
    launched,
    pass,
    /** What a server does, again and again. */
    async turn() {
      await world.pass()
      await writeHealth(world.deps)
      await probeAccounts(world.deps)
    },
    refuse: (account: string, fault: Fault) => sides[account]?.back.fail?.('launch', fault) ?? false,
    calm: () => all.forEach(({ back }) => back.calm?.()),
    /** Things that cost money, of all attempts at all vendors. */
    async things() {
      let sum = 0
      for (const id of launched.keys()) for (const { back } of all) sum += (await back.things?.(id)) ?? 0
      return sum
    },
    reclaim: (account: string, attempt_id: string) => sides[account]?.back.end?.preempted?.(attempt_id),
    /** A report of the runner of an attempt. */
    async say(attempt_id: string, report: object) {
      const key = launched.get(attempt_id)?.token ?? ''
      return (await world.request('POST', `/v1/attempts/${attempt_id}/report`, { key, body: report })).status
    },
    close: async () => void (await Promise.all(all.map((side) => side.close()))),
  }
}

const soon = () => AbortSignal.timeout(call_ms)

function heard(provider: Provider, launched: Map<string, Launched>): Provider {
  return {
    ...provider,
    async launch(request, secrets, signal) {
      const known = launched.get(request.attempt_id) ?? { request, token: secrets.token, handle: null }
      launched.set(request.attempt_id, known)
      known.handle = await provider.launch(request, secrets, signal)
      return known.handle
    },
  }
}

async function ecs(account: string, given: { price: number; spot: number }): Promise<Side> {
  const fake = await openFakeEcs()
  fake.state.types.set(cpuType, { cpu: 8, memory_gib: 32, ...given })
  const one = { instance_types: [cpuType], vswitches: [{ zone: 'cn-hangzhou-i', id: 'vsw-bp1i' }] }
  return {
    provider: openProvider(fake, { account, ...one, call_ms: 20_000 }),
    back: backOfEcs(fake),
    now_ms: () => fake.state.now_ms,
    pass: (ms) => void (fake.state.now_ms += ms),
    close: fake.close,
  }
}

async function pods(): Promise<Side> {
  const runpod = await openFakeRunpod()
  const clock = { now: () => new Date(runpod.now()) }
  const { url, back, now: now_ms, pass, close } = runpod
  return { provider: createRunpodProvider(runpodOptions({ url, clock })), back, now_ms, pass, close }
}

async function batch(): Promise<Side> {
  const aws = await openFakeAws()
  const shapes = [
    { ...gpu, usd_per_hour: 2 },
    { ...spot, usd_per_hour: 1.5 },
  ]
  const { back, now: now_ms, pass, close } = aws
  return { provider: createAwsProvider(awsOptions(aws, { shapes })), back, now_ms, pass, close }
}

async function cluster(): Promise<Side> {
  const nomad = await openNomad()
  const shapes = [{ id: 'cpu-2', gpu: null, cpu: 2, memory_gib: 4, disk_gib: 20, usd_per_hour: 300 }]
  const options = nomadOptions({ url: nomad.url, installation, shapes })
  const { back, now: now_ms, pass, close } = nomad
  return { provider: createNomadProvider(options), back, now_ms, pass, close }
}

export type FiveAccounts = Awaited<ReturnType<typeof openFiveAccounts>>
