// Asks providers what they see, in bulk, and answers `unseen` for what could not be asked.
import type { Observation, Provider, Ref } from '../providers/provider.ts'
import { ProviderError } from '../providers/errors.ts'
import type { Deps } from './deps.ts'
import type { AttemptRow } from './plan.ts'

/** One inspect call; a vendor that takes longer was not asked. */
const inspect_ms = 20_000
const list_ms = 30_000
/** From this many at once on, "all gone" is more likely a blind vendor than a dead fleet. */
const massLoss = 3

export function providerOf(
  deps: Pick<Deps, 'providers'>,
  row: Pick<AttemptRow, 'provider' | 'account'>,
): Provider | null {
  return deps.providers.find(({ name, account }) => name === row.provider && account === row.account) ?? null
}

export function refOf(row: AttemptRow): Ref {
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
  const gone = answers.filter(([, { state }]) => state === 'gone')
  if (gone.length < massLoss || gone.length * 2 <= answers.length) return answers
  return doubt(provider, answers, rows)
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

// Many gone at once is loss of sight until a second, different call agrees.
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
    return unseen('most of the account is gone at once, and it could not be listed')
  }
}
