// Asks providers what they see, in bulk, and answers `unseen` for what could not be asked.
import type { Observation, Provider, Ref } from '../providers/provider.ts'
import { ProviderError } from '../providers/errors.ts'
import { shownBy } from './decide.ts'
import type { Deps } from './deps.ts'
import type { AttemptRow } from './plan.ts'

/** One inspect call; a vendor that takes longer was not asked. */
const inspect_ms = 20_000
const list_ms = 30_000

export function providerOf(
  deps: Pick<Deps, 'providers'>,
  row: Pick<AttemptRow, 'provider' | 'account'>,
): Provider | null {
  return deps.providers.find(({ name, account }) => name === row.provider && account === row.account) ?? null
}

export function refOf(row: Pick<AttemptRow, 'id' | 'handle' | 'request'>): Ref {
  return { attempt_id: row.id, handle: row.handle, request: row.request }
}

/** One observation by attempt id, for attempts that were launched. */
export async function observe(
  deps: Deps,
  attempts: readonly AttemptRow[],
): Promise<Map<string, Observation>> {
  const seen = new Map<string, Observation>()
  const groups = Map.groupBy(
    attempts.filter((row) => row.launch_called_at !== null),
    (row) => `${row.provider}/${row.account}/${row.region}`,
  )
  await Promise.all(
    [...groups.values()].map(async (rows) => {
      for (const [id, observation] of await observeGroup(deps, rows)) seen.set(id, observation)
    }),
  )
  return seen
}

async function observeGroup(deps: Deps, rows: readonly AttemptRow[]): Promise<[string, Observation][]> {
  const provider = rows[0] ? providerOf(deps, rows[0]) : null
  if (!provider)
    return rows.map(({ id }) => [id, { state: 'unseen', detail: 'its provider is not configured' }])
  const answers: [string, Observation][] = []
  for (let start = 0; start < rows.length; start += provider.traits.inspect_batch) {
    const batch = rows.slice(start, start + provider.traits.inspect_batch)
    answers.push(...(await inspectBatch(deps, provider, batch)))
  }
  const asked = new Map(rows.map((row) => [row.id, row]))
  const missed = answers.some(
    ([id, { state }]) => state === 'gone' && canBeMissed(deps, provider, asked.get(id)),
  )
  return missed ? doubt(provider, answers, rows) : answers
}

async function inspectBatch(
  deps: Deps,
  provider: Provider,
  rows: readonly AttemptRow[],
): Promise<[string, Observation][]> {
  try {
    const seen = await provider.inspect(rows.map(refOf), AbortSignal.timeout(inspect_ms))
    return rows.map((row, index) => [row.id, seen[index] ?? { state: 'unseen', detail: 'no answer for it' }])
  } catch (error) {
    const detail = error instanceof ProviderError ? `${error.code}: ${error.detail}` : 'the call failed'
    deps.log('warn', 'inspect failed', { provider: provider.name, account: provider.account, detail })
    return rows.map(({ id }) => [id, { state: 'unseen', detail }])
  }
}

/** Whether something would follow from `gone`: before its vendor must show it, nothing does. */
function canBeMissed(deps: Deps, provider: Provider, row: AttemptRow | undefined): boolean {
  const shown_at = row ? shownBy(row, provider.traits.list_lag_ms) : null
  return shown_at !== null && deps.clock.now() >= shown_at
}

// Gone is loss of sight until a second, different call agrees: a blind vendor is as likely as a dead machine, and a
// whole fleet that is gone at once is looked at in pieces.
async function doubt(
  provider: Provider,
  answers: [string, Observation][],
  rows: readonly AttemptRow[],
): Promise<[string, Observation][]> {
  const unseen = (detail: string): [string, Observation][] =>
    answers.map(([id, seen]) => [id, seen.state === 'gone' ? { state: 'unseen', detail } : seen])
  try {
    const listed = new Set<string>()
    for await (const found of provider.list(AbortSignal.timeout(list_ms))) {
      listed.add(found.name)
      if (found.attempt_id) listed.add(found.attempt_id)
    }
    const names = new Map(rows.map((row) => [row.id, row.request.name]))
    return answers.map(([id, seen]) =>
      seen.state === 'gone' && (listed.has(id) || listed.has(names.get(id) ?? ''))
        ? [id, { state: 'unseen', detail: 'inspect and list do not agree' }]
        : [id, seen],
    )
  } catch {
    return unseen('it is gone by inspect, and the account could not be listed')
  }
}
