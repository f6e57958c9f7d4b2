// Tries every promise of the contract on an adapter and reports which it keeps.
import { randomBytes } from 'node:crypto'
import { providerErrorCodes } from '../errors.ts'
import type { LaunchSecrets } from '../provider.ts'
import { type Bench, Broken, type Case, type Launched, within } from './bench.ts'
import { cases } from './cases.ts'
import { type Kept, leakIn, watched } from './secrets.ts'
import type { Subject, World } from './subject.ts'

export interface CaseResult {
  name: string
  outcome: 'passed' | 'failed' | 'skipped'
  /** What was seen, or why it was skipped. */
  detail: string | null
}

export interface Report {
  subject: string
  ok: boolean
  passed: number
  failed: number
  skipped: number
  cases: CaseResult[]
}

export interface RunOptions {
  signal: AbortSignal
  /** Told of each case as it ends. */
  log: (result: CaseResult) => void
  /** Which cases; all, if left out. */
  only?: (name: string) => boolean
  /** Ids that no run before has used: what they started may still be there. */
  attemptId?: () => string
}

/** Against a hang, in real time. Starts of real machines take minutes. */
const case_ms = 15 * 60_000

export async function runConformance(subject: Subject, options: RunOptions): Promise<Report> {
  const results: CaseResult[] = []
  for (const each of cases) {
    if (options.only && !options.only(each.name)) continue
    options.signal.throwIfAborted()
    const result = await runCase(subject, each, options)
    results.push(result)
    options.log(result)
  }
  const count = (outcome: CaseResult['outcome']) => results.filter((each) => each.outcome === outcome).length
  const failed = count('failed')
  return {
    subject: subject.name,
    // A run in which nothing could be tried has proved nothing.
    ok: failed === 0 && count('passed') > 0,
    passed: count('passed'),
    failed,
    skipped: count('skipped'),
    cases: results,
  }
}

async function runCase(subject: Subject, each: Case, options: RunOptions): Promise<CaseResult> {
  const { name } = each
  let world: World | null = null
  let result: CaseResult
  try {
    world = await subject.open()
    result = await tryCase(world, each, options)
  } catch (error) {
    result = { name, outcome: 'failed', detail: detailOf(error) }
  }
  try {
    await world?.close()
  } catch (error) {
    if (result.outcome !== 'failed')
      result = { name, outcome: 'failed', detail: `the world did not close: ${detailOf(error)}` }
  }
  return result
}

async function tryCase(world: World, each: Case, options: RunOptions): Promise<CaseResult> {
  const { name } = each
  const missing = each.needs.filter((need) => world.back[need] === undefined)
  if (missing.length > 0)
    return { name, outcome: 'skipped', detail: `the subject has no control ${missing.join(', ')}` }
  const kept: Kept[] = []
  const bench = openBench(world, options, kept)
  const over = new AbortController()
  const signal = AbortSignal.any([options.signal, over.signal])
  try {
    const skip = await within(case_ms, each.run({ ...bench, signal }, world.back), 'the case')
    const leak = leakIn(kept, secretsOf(world, bench.secrets)) ?? untyped(kept)
    if (leak !== null) return { name, outcome: 'failed', detail: leak }
    return skip
      ? { name, outcome: 'skipped', detail: skip.skipped }
      : { name, outcome: 'passed', detail: null }
  } finally {
    over.abort()
  }
}

function openBench(world: World, options: RunOptions, kept: Kept[]): Bench {
  const secrets: LaunchSecrets = {
    token: `token-${randomBytes(16).toString('hex')}`,
    bootstrap: `bootstrap-${randomBytes(16).toString('hex')}`,
    ...(world.back.registry && { registry: world.back.registry }),
  }
  const newId = options.attemptId ?? randomId
  const provider = watched(world.provider(), kept)
  const { signal } = options
  return {
    world,
    provider,
    signal,
    secrets,
    replica: () => watched(world.provider(), kept),
    watch: (other) => watched(other, kept),
    newId,
    async launch(attempt_id = newId(), by = provider): Promise<Launched> {
      const request = await world.request(attempt_id)
      return { attempt_id, request, handle: await by.launch(request, secrets, signal) }
    },
    async never() {
      const attempt_id = newId()
      return { attempt_id, handle: null, request: await world.request(attempt_id) }
    },
  }
}

function secretsOf(world: World, { token, bootstrap, registry }: LaunchSecrets): Map<string, string> {
  const named = new Map(world.secrets.map((secret) => [secret, 'a secret of the account']))
  if (registry) named.set(registry.password, 'the password of the registry')
  if (bootstrap) named.set(bootstrap, 'the token that a machine is started with')
  return named.set(token, 'the token of the attempt')
}

function untyped(kept: readonly Kept[]): string | null {
  const codes: readonly string[] = providerErrorCodes
  for (const { call, what, value } of kept) {
    if (what !== 'error') continue
    const { name, code, message } = value as { name?: string; code?: string; message?: string }
    if (name !== 'ProviderError' || code === undefined || !codes.includes(code))
      return `${call} threw something else than a ProviderError: ${name}: ${message}`
  }
  return null
}

function detailOf(error: unknown): string {
  if (error instanceof Broken) return error.message
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** `att_` and 26 characters of base 32, the first one small, as the ids of Berth are. */
function randomId(): string {
  const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
  return `att_0${[...randomBytes(25)].map((byte) => alphabet[byte % 32]).join('')}`
}
