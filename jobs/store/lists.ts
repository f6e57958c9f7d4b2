// The lists that jobs stand in beside those of the jobs' own indexes: one for each label, provider, and label at a
// provider, by kind and by how the job ended, so that every page of every filter is read from one end of an index.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { isTerminal, type JobState } from '../state.ts'
import type { Database, Tx } from './schema.ts'

/** Jobs that have not ended change their state too often to move between lists. */
type Fate = 'open' | 'succeeded' | 'failed' | 'cancelled'

export interface List {
  project_id: string
  kind: string
  fate: Fate
  provider: string | null
  label: { name: string; value: string } | null
}

export interface Listed {
  id: string
  project_id: string
  kind: string
  state: JobState
  labels: Record<string, string>
  providers: string[]
}

export const fateOf = (state: JobState): Fate => (isTerminal(state) ? (state as Fate) : 'open')

/** What a list is called in the index: a hash, so that its entries are small. migrations/0008 computes the same. */
export function listId({ project_id, kind, fate, provider, label }: List): string {
  const text = label ? `${Buffer.byteLength(label.name)}:${label.name}${label.value}` : ''
  const name = [project_id, kind, fate, provider ?? '', text].join('\n')
  return createHash('sha256').update(name).digest('hex').slice(0, 32)
}

/** Moves jobs between lists; null: not there before, or not any more. */
export async function relist(
  tx: Database | Tx,
  moves: readonly { from: Listed | null; to: Listed | null }[],
): Promise<void> {
  const left: Entry[] = []
  const joined: Entry[] = []
  for (const { from, to } of moves) {
    const [before, after] = [from ? listsOf(from) : [], to ? listsOf(to) : []]
    const job = to ?? from
    if (!job) continue
    const { id: job_id, project_id } = job
    for (const list of before) if (!after.includes(list)) left.push({ list, job_id, project_id })
    for (const list of after) if (!before.includes(list)) joined.push({ list, job_id, project_id })
  }
  if (left.length > 0)
    await sql`/* leave lists */ delete from job_lists
      using unnest(${column(left, 'list')}::uuid[], ${column(left, 'job_id')}::text[]) as gone(list, job_id)
      where job_lists.list = gone.list and job_lists.job_id = gone.job_id`.execute(tx)
  if (joined.length > 0)
    await sql`/* join lists */ insert into job_lists (list, job_id, project_id)
      select * from unnest(${column(joined, 'list')}::uuid[], ${column(joined, 'job_id')}::text[],
        ${column(joined, 'project_id')}::text[]) on conflict do nothing`.execute(tx)
}

export interface Entry {
  list: string
  job_id: string
  project_id: string
}

/** Where jobs stand that were in no list. */
export const entriesOf = (jobs: readonly Listed[]): Entry[] =>
  jobs.flatMap((job) => listsOf(job).map((list) => ({ list, job_id: job.id, project_id: job.project_id })))

const column = (entries: readonly Entry[], name: keyof Entry) => entries.map((entry) => entry[name])

function listsOf({ project_id, kind, state, labels, providers }: Listed): string[] {
  const of = { project_id, kind, fate: fateOf(state) }
  const tags = Object.entries(labels).map(([name, value]) => ({ name, value }))
  return [
    ...tags.map((label) => listId({ ...of, provider: null, label })),
    ...providers.flatMap((provider) => [
      listId({ ...of, provider, label: null }),
      ...tags.map((label) => listId({ ...of, provider, label })),
    ]),
  ]
}
