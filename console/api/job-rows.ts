// Rows of the list of jobs, and its pages as they are kept: as text. A hundred thousand rows as objects are more than a million things
// that the browser's collector of garbage goes through again and again, for tens of milliseconds each time; a text is one.
import type { Job, JobPage } from './types.ts'

/** What a row of the list shows; jobs are kept so, without their params and results. */
export interface JobRow extends Pick<
  Job,
  | 'id'
  | 'kind'
  | 'name'
  | 'state'
  | 'progress'
  | 'phase'
  | 'created_at'
  | 'started_at'
  | 'finished_at'
  | 'outcome'
  | 'labels'
  | 'cached_from'
> {
  place: string | null
  usd: number
  cost_is_final: boolean
  error: string | null
  shards: number
}

export function rowOf(job: Job): JobRow {
  const last = job.attempts.at(-1)
  return {
    id: job.id,
    kind: job.kind,
    name: job.name,
    state: job.state,
    progress: job.progress,
    phase: job.phase,
    created_at: job.created_at,
    started_at: job.started_at,
    finished_at: job.finished_at,
    outcome: job.outcome,
    labels: job.labels,
    cached_from: job.cached_from,
    place: last ? `${last.provider} · ${last.device ?? last.offer}` : null,
    usd: job.cost.actual_usd,
    cost_is_final: job.cost.final,
    error: job.error?.message ?? null,
    shards: job.shards.total,
  }
}

/** A page of the list. It is never changed: what has changed is another page. */
export interface RowPage {
  count: number
  /** Of its rows, in their order, with a space between. */
  ids: string
  /** The ids of those that have not ended. */
  at_work: string
  /** A row a line, as JSON. */
  lines: string
  next_cursor: JobPage['next_cursor']
}

export const pageOf = (rows: readonly JobRow[], next_cursor: RowPage['next_cursor']): RowPage => ({
  count: rows.length,
  ids: rows.map(({ id }) => id).join(' '),
  at_work: rows
    .filter(({ finished_at }) => finished_at === null)
    .map(({ id }) => id)
    .join(' '),
  lines: rows.map((row) => JSON.stringify(row)).join('\n'),
  next_cursor,
})

const parted = (text: string, by: string): string[] => (text === '' ? [] : text.split(by))
export const idsOf = ({ ids }: RowPage): string[] => parted(ids, ' ')
export const rowsOf = ({ lines }: RowPage): JobRow[] =>
  parted(lines, '\n').map((line) => JSON.parse(line) as JobRow)

/** Rows by their number in the list, whatever page they are on. */
export interface JobRows {
  count: number
  at: (index: number) => JobRow | undefined
  ids: () => string[]
  /** Of these jobs those that have not ended. */
  atWork: (of: ReadonlySet<string>) => string[]
}

/** More than three of the tallest screens show. */
const maxOpen_rows = 1_000

interface Open {
  lines: readonly string[]
  rows: readonly JobRow[]
}

/** Reads the pages of a list; those looked at last stay open. A row that has not changed is the same object as before. */
export function createRowReader(): (pages: readonly RowPage[]) => JobRows {
  const open = new Map<RowPage, Open>()
  const rowsIn = (page: RowPage): readonly JobRow[] => {
    const known = open.get(page)
    const opened = known ?? openPage(page, open)
    // The one looked at last is the last.
    open.delete(page)
    open.set(page, opened)
    if (known === undefined) closeOldest(open)
    return opened.rows
  }
  return (pages) => {
    let count = 0
    const ends = pages.map((page) => (count += page.count))
    return {
      count,
      at(index) {
        const on = firstAbove(ends, index)
        const page = pages[on]
        return page && rowsIn(page)[index - (ends[on - 1] ?? 0)]
      },
      ids: () => pages.flatMap(idsOf),
      atWork: (of) => pages.flatMap(({ at_work }) => parted(at_work, ' ').filter((id) => of.has(id))),
    }
  }
}

function openPage({ lines }: RowPage, open: ReadonlyMap<RowPage, Open>): Open {
  const known = new Map(
    [...open.values()].flatMap((each) => each.lines.map((line, at) => [line, each.rows[at]] as const)),
  )
  const texts = parted(lines, '\n')
  return { lines: texts, rows: texts.map((line) => known.get(line) ?? (JSON.parse(line) as JobRow)) }
}

function closeOldest(open: Map<RowPage, Open>): void {
  let sum = 0
  for (const { rows } of open.values()) sum += rows.length
  for (const [page, { rows }] of open) {
    if (sum <= maxOpen_rows || open.size === 1) return
    open.delete(page)
    sum -= rows.length
  }
}

/** Where the first of ascending numbers is that is above a value; past the last: their count. */
function firstAbove(ascending: readonly number[], value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ascending[middle] ?? 0) > value) high = middle
    else low = middle + 1
  }
  return low
}
