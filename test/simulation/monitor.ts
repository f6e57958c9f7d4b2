// Invariants that hold at every step: each committed change of a row, and each thing that happens at a cloud, is
// compared with what may never be.
import type { Machine, ModelCloud } from '../fakes/model-cloud.ts'
import type { LaunchRequest } from '../../providers/provider.ts'
import type { RowChange } from './database.ts'

interface AttemptSeen {
  id: string
  provider: string
  offer_id: string
  shard_id: string
  job_id: string
  state: string
  outcome: string | null
  spot: boolean
  stop_reason: string | null
  finished_version: number | null
  kind: string
  request: string
  launch_called_at: string | null
  exited_since: string | null
}
interface JobSeen {
  id: string
  state: string
  outcome: string | null
  counters: number[]
  merge_state: string | null
  order_kind: string | null
  follows: string | null
  sequence: number
}

export interface Monitor {
  attempts: Map<string, AttemptSeen>
  jobs: Map<string, JobSeen>
  deliveries: Map<string, { state: string }>
  settled: Map<string, number>
  committed: (changes: readonly RowChange[]) => void
  called: (request: LaunchRequest, token: string) => void
  created: (machine: Machine) => void
  /** Nothing is left to do for any job, attempt or message. */
  quiet: () => boolean
  delivered: () => boolean
}

const terminal = ['succeeded', 'failed', 'cancelled']
const jobMoves: Record<string, readonly string[]> = {
  queued: ['scheduled', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  scheduled: ['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  running: ['queued', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  cancelling: ['cancelled'],
}
const attemptRanks = ['launching', 'starting', 'running', 'stopping', 'ended']
/** Columns of a row that are written once. */
const once: Record<string, readonly string[]> = {
  attempts: [
    'shard_id',
    'job_id',
    'nonce',
    'request',
    'spot',
    'outcome',
    'instance',
    'finished_version',
    'stop_reason',
    'ended_at',
  ],
  deliveries: ['job_id', 'type', 'body'],
  ledger: ['attempt_id', 'entry', 'usd_micros'],
  shards: ['job_id'],
  jobs: ['finished_at', 'cached_from'],
}
const neverFall: Record<string, readonly string[]> = {
  jobs: ['sequence'],
  shards: ['facts_version', 'attempts', 'attempts_used'],
  deliveries: ['attempts'],
}

/** What a changed row is called by. */
export const idOf = (row: Record<string, unknown>) =>
  String(row['id'] ?? row['attempt_id'] ?? row['budget_id'])

/** Longest that the product waits for one call of a provider. */
const call_ms = 60_000
/** The look that a decision follows from may be this old. */
const look_ms = 40_000
const wasHidden = (machine: Machine, now_ms: number) =>
  machine.unlisted &&
  machine.glitch !== null &&
  now_ms >= machine.glitch[0] &&
  now_ms < machine.glitch[1] + look_ms

export function createMonitor(
  clouds: readonly ModelCloud[],
  now_ms: () => number,
  violated: (message: string) => void,
): Monitor {
  const attempts: Monitor['attempts'] = new Map()
  const jobs: Monitor['jobs'] = new Map()
  const deliveries: Monitor['deliveries'] = new Map()
  const settled: Monitor['settled'] = new Map()
  const launches = new Map<string, { request: string; token: string }>()
  const openOf = new Map<string, Set<string>>()
  const machinesOf = (attempt_id: string) =>
    clouds.flatMap(({ machines }) => machines.filter((machine) => machine.attempt_id === attempt_id))

  const rowRules = ({ table, before, after }: RowChange) => {
    if (!before) return
    const what = `${table} ${idOf(after)}`
    for (const column of once[table] ?? [])
      if (before[column] !== null && JSON.stringify(before[column]) !== JSON.stringify(after[column]))
        violated(
          `${what}: ${column} changed from ${JSON.stringify(before[column])} to ${JSON.stringify(after[column])}`,
        )
    for (const column of neverFall[table] ?? [])
      if (Number(after[column]) < Number(before[column])) violated(`${what}: ${column} fell`)
    if (table === 'ledger') violated(`${what}: a ledger row was changed`)
    const from = String(before['state'])
    const ended = table === 'deliveries' ? from !== 'pending' : terminal.includes(from)
    if (!ended || table === 'attempts') return
    for (const column of ['state', 'outcome', 'result'])
      if (JSON.stringify(before[column]) !== JSON.stringify(after[column]))
        violated(`${what}: ${column} changed after the end, from ${from} to ${String(after['state'])}`)
  }

  const attemptRules = (before: AttemptSeen | null, after: AttemptSeen) => {
    attempts.set(after.id, after)
    const open = openOf.get(after.shard_id) ?? new Set()
    openOf.set(after.shard_id, open)
    if (after.outcome) open.delete(after.id)
    else open.add(after.id)
    slotRules(after)
    if (open.size > 1) violated(`shard ${after.shard_id} has ${open.size} attempts without an outcome`)
    if (before && attemptRanks.indexOf(after.state) < attemptRanks.indexOf(before.state))
      violated(`attempt ${after.id} went from ${before.state} to ${after.state}`)
    if (after.outcome && before && !before.outcome) outcomeRules(after)
    if (after.state === 'ended' && before?.state !== 'ended') {
      if (!after.outcome) violated(`attempt ${after.id} ended without an outcome`)
      // Not the attempt's, but the next scan's for orphans: what the vendor denied, what a paused process launched
      // later than any call may last, and what inspect and listing both hide for a moment after a stop.
      const called_ms = Date.parse(after.launch_called_at ?? '')
      const left = machinesOf(after.id).filter(
        ({ to_ms, from_ms, denied }) => !to_ms && !denied && !(from_ms > called_ms + call_ms),
      )
      if (left.some((machine) => !wasHidden(machine, now_ms())))
        violated(`attempt ${after.id} ended, and its machine runs`)
    }
  }

  // Fixed capacity is never promised twice.
  const slotRules = ({ provider, offer_id, state }: AttemptSeen) => {
    if (state !== 'launching') return
    const account = clouds.find(({ account: { name } }) => name === provider)?.account
    const slots = account?.offers.find(({ id }) => id === offer_id)?.slots ?? null
    const there = [...attempts.values()].filter(
      (each) => each.provider === provider && each.offer_id === offer_id && each.state !== 'ended',
    )
    if (slots !== null && there.length > slots)
      violated(`${there.length} attempts are at ${provider}/${offer_id}, which has ${slots} slots`)
  }

  // What was concluded without a word of the runner must be true.
  const outcomeRules = ({ id, outcome, stop_reason, finished_version }: AttemptSeen) => {
    if (finished_version !== null || stop_reason !== null) return
    if (outcome !== 'lost' && outcome !== 'preempted' && outcome !== 'failed') return
    if (machinesOf(id).some(({ to_ms }) => to_ms === null))
      violated(`attempt ${id} is ${outcome} by silence, and its machine runs`)
  }

  const jobRules = (before: JobSeen | null, after: JobSeen) => {
    jobs.set(after.id, after)
    const [total = 0, waiting = 0, active = 0, running = 0, ...done] = after.counters
    if (after.counters.some((count) => count < 0) || running > active)
      violated(`job ${after.id} has the counters ${after.counters.join(', ')}`)
    if (waiting + active + done.reduce((sum, count) => sum + count, 0) !== total)
      violated(`job ${after.id}: ${total} shards are not the sum of ${after.counters.join(', ')}`)
    if (before && before.state !== after.state && !jobMoves[before.state]?.includes(after.state))
      violated(`job ${after.id} went from ${before.state} to ${after.state}`)
    const merges = after.merge_state !== null && !terminal.includes(after.merge_state)
    if (terminal.includes(after.state) && waiting + active + Number(merges) > 0)
      violated(`job ${after.id} has ${after.state} with shards that have not`)
  }

  // What is launched keeps the limit that is in force when its intent is committed.
  const limitRules = (before: AttemptSeen | null, after: AttemptSeen) => {
    const most = bounds.get(`kind:${after.kind}`)
    if (before || most === undefined) return
    const open = [...attempts.values()].filter(({ kind, state }) => kind === after.kind && state !== 'ended')
    if (open.length > most) violated(`${after.id} is one of ${open.length} attempts, and ${most} may run`)
  }
  const bounds = new Map<string, number>()

  const limits = new Map<string, number>()
  const budgetRules = ({ table, before, after }: RowChange) => {
    if (table === 'budgets') limits.set(String(after['id']), Number(after['limit_micros']))
    if (table !== 'budget_periods') return
    const reserved = Number(after['reserved_micros'])
    const held = reserved + Number(after['spent_micros'])
    const limit = limits.get(String(after['budget_id'])) ?? 0
    if (reserved < 0) violated(`${reserved} micro-dollars are reserved`)
    if (reserved > Number(before?.['reserved_micros'] ?? 0) && held > limit)
      violated(`a budget of ${limit} micro-dollars has ${held} reserved and spent`)
  }

  const orphanRules = ({ table, after }: RowChange) => {
    if (table !== 'orphans' || after['gone_at'] !== null) return
    const state = attempts.get(String(after['attempt_id']))?.state
    if (state && state !== 'ended') violated(`${idOf(after)} is an orphan, and its attempt is ${state}`)
  }

  // In the commit of the end of a job its result is there for those who wait for it, or one of them leads.
  const followerRules = (leader: JobSeen) => {
    const { state, outcome, counters } = leader
    const whole = state === 'succeeded' && outcome === 'succeeded' && counters[5] === 0
    if (whole || !terminal.includes(state)) return
    for (const { id, follows, order_kind, state: waits } of jobs.values())
      if (follows === leader.id && order_kind === null && !terminal.includes(waits))
        violated(`${id} follows ${leader.id}, which has ${state}`)
  }

  return {
    attempts,
    jobs,
    deliveries,
    settled,
    committed(changes) {
      const ended: string[] = []
      for (const change of changes) {
        if (change.table === 'jobs') ended.push(String(change.after['id']))
        rowRules(change)
        budgetRules(change)
        orphanRules(change)
        const { table, before, after } = change
        if (table === 'attempts') {
          const [was, is] = [before as unknown as AttemptSeen | null, after as unknown as AttemptSeen]
          attemptRules(was, is)
          limitRules(was, is)
        }
        if (table === 'limits')
          bounds.set(`${String(after['scope'])}:${String(after['key'])}`, Number(after['max_running']))
        if (table === 'jobs') jobRules(before as unknown as JobSeen | null, after as unknown as JobSeen)
        if (table === 'deliveries') deliveries.set(String(after['id']), { state: String(after['state']) })
        if (table === 'ledger' && after['entry'] === 'settle') {
          const attempt_id = String(after['attempt_id'])
          if (settled.has(attempt_id)) violated(`attempt ${attempt_id} was settled twice`)
          settled.set(attempt_id, Number(after['usd_micros']))
        }
      }
      for (const id of ended) {
        const job = jobs.get(id)
        if (job) followerRules(job)
      }
    },
    called(call, token) {
      const request = JSON.stringify(call)
      const first = launches.get(call.attempt_id)
      launches.set(call.attempt_id, first ?? { request, token })
      if (first && first.token !== token) violated(`${call.attempt_id} was given two tokens`)
      if (first && first.request !== request) violated(`${call.attempt_id} was launched with two requests`)
    },
    created(machine) {
      const row = attempts.get(machine.attempt_id)
      const twins = machinesOf(machine.attempt_id)
      if (!row) violated(`a machine runs for ${machine.attempt_id}, which no intent names`)
      else if (row.launch_called_at === null) violated(`${row.id} was launched before that was written down`)
      if (twins.length > 1) violated(`${machine.attempt_id} has ${twins.length} machines`)
    },
    quiet: () =>
      [...jobs.values()].every(({ state }) => terminal.includes(state)) &&
      [...attempts.values()].every(({ state }) => state === 'ended') &&
      clouds.every(({ machines }) => machines.every(({ to_ms }) => to_ms !== null)),
    delivered: () => [...deliveries.values()].every(({ state }) => state !== 'pending'),
  }
}
