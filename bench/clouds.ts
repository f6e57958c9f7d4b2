// `npm run bench -- clouds [--starts 5]`: what each cloud's SDK adds to a process that has opened an account, in time and memory, and what
// five accounts add, two of them of one cloud; and how many calls one look at 10,000 attempts is. The clouds are fakes on this machine, so no time is a vendor's.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createAlibabaProvider } from '../providers/alibaba/alibaba.ts'
import { createAwsProvider } from '../providers/aws/aws.ts'
import { requestFor } from '../providers/conformance/subject.ts'
import type { Handle, Provider } from '../providers/provider.ts'
import { createRunpodProvider } from '../providers/runpod/runpod.ts'
import { alibabaOptions, type FakeEcs, openFakeEcs } from '../test/support/alibaba-account.ts'
import { awsOptions, openFakeAws } from '../test/support/aws-subject.ts'
import { openFakeRunpod, runpodOptions } from '../test/support/runpod-subject.ts'
import { type Measured, type Measurement, option, percentile, rounded } from './measurement.ts'

const handles = 10_000
const child_ms = 60_000

interface Cloud {
  name: string
  /** Its file and its maker, for a process of its own. */
  module: string
  factory: string
  options: object
  provider: Provider
  handleOf: (n: number) => Handle
  /** Requests that the fake has had. */
  count: () => number
  close: () => Promise<void>
}

export const measure: Measurement = async (options): Promise<Measured> => {
  const starts = option(options, 'starts', 5)
  const bare = await startOf([], starts)
  const figures: Record<string, number> = { handles, starts, bare_mib: rounded(bare.mib, 1) }
  const opens = [openAws, openEcs, () => openPods('graphql'), () => openPods('rest')]
  const five = await Promise.all([...opens, openEcs].map((open) => open()))
  const all = await startOf(five.flatMap(argumentsOf), starts)
  figures['five_first_answer_ms'] = rounded(all.ms, 0)
  figures['five_add_mib'] = rounded(all.mib - bare.mib, 1)
  for (const { close } of five) await close()
  for (const open of opens) {
    const cloud = await open()
    const { ms, mib } = await startOf(argumentsOf(cloud), starts)
    figures[`${cloud.name}_first_answer_ms`] = rounded(ms, 0)
    figures[`${cloud.name}_adds_mib`] = rounded(mib - bare.mib, 1)
    figures[`${cloud.name}_calls`] = await callsOf(cloud)
    await cloud.close()
  }
  return { figures, targets: {} }
}

const argumentsOf = ({ module, factory, options }: Cloud) => [module, factory, JSON.stringify(options)]

/** The one in the middle: the first start fills the disk's cache. */
async function startOf(given: string[], starts: number): Promise<{ ms: number; mib: number }> {
  const program = join(import.meta.dirname, 'support', 'cloud-start.ts')
  const seen: { ms: number; mib: number }[] = []
  for (let start = 0; start < starts; start++) {
    const args = ['--expose-gc', program, ...given]
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: child_ms })
    seen.push(JSON.parse(stdout) as { ms: number; mib: number })
  }
  return {
    ms: percentile(
      seen.map(({ ms }) => ms),
      0.5,
    ),
    mib: percentile(
      seen.map(({ mib }) => mib),
      0.5,
    ),
  }
}

async function callsOf({ provider, handleOf, count }: Cloud): Promise<number> {
  const before = count()
  const { inspect_batch } = provider.traits
  for (let at = 0; at < handles; at += inspect_batch) {
    const refs = Array.from({ length: Math.min(inspect_batch, handles - at) }, (_, n) => {
      return { attempt_id: `att_${at + n}`, handle: handleOf(at + n), request: null }
    })
    await provider.inspect(refs, AbortSignal.timeout(child_ms))
  }
  return count() - before
}

const moduleOf = (name: string) => join(import.meta.dirname, '..', 'providers', name)

async function openAws(): Promise<Cloud> {
  const aws = await openFakeAws()
  const options = awsOptions(aws)
  return {
    name: 'aws',
    module: moduleOf('aws/aws.ts'),
    factory: 'createAwsProvider',
    options,
    provider: createAwsProvider(options),
    handleOf: (n) => ({ job_id: `job-${n}`, name: `berth-bench-${n}` }),
    count: aws.wire.count,
    close: aws.close,
  }
}

async function openEcs(): Promise<Cloud> {
  const ecs = await openFakeEcs()
  const options = alibabaOptions(ecs)
  const provider = createAlibabaProvider(options)
  await fill(ecs, provider)
  return {
    name: 'alibaba',
    module: moduleOf('alibaba/alibaba.ts'),
    factory: 'createAlibabaProvider',
    options,
    provider,
    handleOf: (n) => ({ instance: `i-${n}` }),
    count: ecs.wire.count,
    close: ecs.close,
  }
}

/** What is gone is looked up once more, so these are there. */
async function fill({ state }: FakeEcs, provider: Provider): Promise<void> {
  const [offer] = await provider.offers(AbortSignal.timeout(child_ms))
  if (!offer) throw new Error('no offer')
  const given = { deadline_at: new Date(state.now_ms + 3_600_000).toISOString(), image: 'work:1' }
  const request = requestFor('att_01jd3m4k5nep7r8r9s0t1v2w3x', offer, given)
  await provider.launch(request, { token: 't', bootstrap: 'b' }, AbortSignal.timeout(child_ms))
  const [one] = state.instances.values()
  if (!one) throw new Error('no instance')
  for (let n = 0; n < handles; n++) state.instances.set(`i-${n}`, { ...one, id: `i-${n}` })
}

async function openPods(transport: 'graphql' | 'rest'): Promise<Cloud> {
  const runpod = await openFakeRunpod()
  const options = runpodOptions({ url: runpod.url, transport, clock: { now: () => new Date() } })
  return {
    name: `runpod_${transport}`,
    module: moduleOf('runpod/runpod.ts'),
    factory: 'createRunpodProvider',
    options,
    provider: createRunpodProvider(options),
    handleOf: (n) => ({ pod: `pod-${n}` }),
    count: runpod.wire.count,
    close: runpod.close,
  }
}
