// What runners say of how far they are and of how their machines do: the last word of each, and samples of what was said over its
// life. It decides nothing.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { createGroup } from './group.ts'
import type { RunnerAttempt } from './report.ts'
import type { Heartbeat } from './report-schema.ts'
import { type Column, insertion, type Values } from './store/rows.ts'
import { statement } from './store/statement.ts'

/** Rejects with AppError: busy. `isGone`: nobody waits for the answer any more. */
export type Beat = (attempt: RunnerAttempt, said: Heartbeat, isGone?: () => boolean) => Promise<void>

/** Of one report: what charts show. Figures that are not known are left out. */
export interface Sample {
  at: string
  progress?: number
  cpu?: number
  memory?: number
  gpus?: Record<string, number>[]
}

/** Of an attempt: a chart needs no more, and with eight GPUs they take some 80 kB. */
const mostSamples = 120
/** GPUs in a sample. */
const mostGpus = 8
/** Between the first samples. With each thinning they are twice as far apart. */
const firstSample_s = 5

type Row = Values<'heartbeats'> & { attempt_id: string }

/** Rows in one statement: some tens of milliseconds. */
const mostRows = 1_000

/** Heartbeats that come at once are written together. */
export function createHeartbeats(deps: Deps): Beat {
  const group = createGroup<Row, void>({
    name: 'reports',
    clock: deps.clock,
    gather: deps.gather,
    most_weight: mostRows,
    async run(rows) {
      await write(deps, rows)
      return rows.map(() => ({ value: undefined }))
    },
  })
  return (attempt, said, isGone) => group(rowOf(attempt, said, deps.clock.now()), isGone)
}

function rowOf({ id, project_id }: RunnerAttempt, said: Heartbeat, at: Date): Row {
  const progress = said.progress ?? null
  const machine = said.machine ?? {}
  return {
    attempt_id: id,
    project_id,
    at,
    progress,
    phase: said.phase ?? null,
    step: said.step ?? null,
    steps: said.steps ?? null,
    metrics: said.metrics ?? {},
    machine,
    samples: [{ ...sampleOf(at, progress, machine) }],
    sampled_at: at,
    sample_s: firstSample_s,
  }
}

function sampleOf(
  at: Date,
  progress: number | null,
  { cpu, memory, gpus }: NonNullable<Heartbeat['machine']>,
): Sample {
  const all = { progress, cpu, memory }
  const cards = (gpus ?? []).slice(0, mostGpus).map(numbersOf)
  return { at: at.toISOString(), ...numbersOf(all), ...(cards.length > 0 ? { gpus: cards } : {}) }
}

const numbersOf = (figures: object): Record<string, number> =>
  Object.fromEntries(
    Object.entries(figures).filter((each): each is [string, number] => typeof each[1] === 'number'),
  )

/** Whether the next sample is due, and whether there are so many that every second one goes. */
const isDue = sql`(heartbeats.sampled_at is null or excluded.at >= heartbeats.sampled_at + make_interval(secs => heartbeats.sample_s))`
const isFull = sql`jsonb_array_length(heartbeats.samples) >= ${sql.lit(mostSamples)}`

/** Of those that are left: reports may come more rarely than samples were wanted. */
const spacing_s = sql`ceil(extract(epoch from excluded.at - (heartbeats.samples -> 0 ->> 'at')::timestamptz)
  / ${sql.lit(mostSamples / 2)})::int`

/** Set at each report, and only when a sample is due. */
const changes = [
  ...(['at', 'progress', 'phase', 'step', 'steps', 'metrics', 'machine'] as const).map(
    (column) => sql`${sql.ref(column)} = excluded.${sql.ref(column)}`,
  ),
  sql`sampled_at = case when ${isDue} then excluded.at else heartbeats.sampled_at end`,
  sql`sample_s = case when ${isDue} and ${isFull} then ${spacing_s}
    else greatest(heartbeats.sample_s, excluded.sample_s) end`,
  sql`samples = case when not ${isDue} then heartbeats.samples when not ${isFull} then heartbeats.samples || excluded.samples
    else (select jsonb_agg(sample order by n) from jsonb_array_elements(heartbeats.samples) with ordinality as all_of_it (sample, n)
      where n % 2 = 1) || excluded.samples end`,
]

const columns = [
  'attempt_id',
  'project_id',
  'at',
  'progress',
  'phase',
  'step',
  'steps',
  'metrics',
  'machine',
  'samples',
  'sampled_at',
  'sample_s',
] as const satisfies readonly Column<'heartbeats'>[]

const insert = statement<readonly Row[], unknown>(
  (given) =>
    sql`/* write heartbeats */ ${insertion(given, {
      table: 'heartbeats',
      each: columns,
      rows: (rows) => rows,
      rest: sql`on conflict (attempt_id) do update set ${sql.join(changes)}`,
    })}`,
)

/** The last of each attempt, in their order: two servers that write the same do not wait for each other. */
async function write({ db }: Deps, rows: readonly Row[]): Promise<void> {
  const last = new Map(rows.map((row) => [row.attempt_id, row]))
  await insert(
    db,
    [...last.values()].toSorted((a, b) => (a.attempt_id < b.attempt_id ? -1 : 1)),
  )
}
