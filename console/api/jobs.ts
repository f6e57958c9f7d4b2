import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
} from '@tanstack/react-query'
import { type Api, answered } from './client.ts'
import type { FeedEvent, Job, JobPage } from './types.ts'

export interface JobFilters {
  state?: Job['state'] | undefined
  kind?: string | undefined
  label?: string | undefined
  provider?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
}

/** What a row of the list shows; a hundred thousand jobs are kept so, without their params and results. */
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

/** Enough for the tallest screen twice, and small enough to be read between two frames. */
const page_size = 100

export const jobListKey = (filters: JobFilters) => ['jobs', filters] as const

export const jobListQuery = (api: Api, filters: JobFilters) =>
  infiniteQueryOptions({
    queryKey: jobListKey(filters),
    queryFn: async ({ pageParam, signal }) => readPage(api, filters, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    // The feed says what changes. Comparing a hundred thousand rows at each page would be felt.
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })

interface RowPage {
  items: JobRow[]
  next_cursor: string | null
}

async function readPage(
  api: Api,
  filters: JobFilters,
  cursor: string | null,
  signal: AbortSignal,
): Promise<RowPage> {
  const query: Record<string, string> = { limit: String(page_size) }
  for (const [name, value] of Object.entries(filters))
    if (typeof value === 'string' && value !== '') query[name] = value
  if (cursor !== null) query['cursor'] = cursor
  const answer = await api.send(`/v1/jobs?${new URLSearchParams(query)}`, { signal })
  const page = (await answer.json()) as JobPage
  return { items: page.items.map(rowOf), next_cursor: page.next_cursor }
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

export const jobQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id],
    queryFn: ({ signal }) =>
      answered(api.routes.v1.jobs[':id'].$get({ param: { id }, query: {} }, { init: { signal } })),
  })

type Lists = InfiniteData<RowPage, string | null>

/** Puts a change of one job into every list that shows it; a list of one state lets go of what has another now. */
export function patchRows(cache: QueryClient, id: string, patch: (row: JobRow) => JobRow): boolean {
  let found = false
  for (const { queryKey } of cache.getQueryCache().findAll({ queryKey: ['jobs'] })) {
    const { state } = queryKey[1] as JobFilters
    cache.setQueryData<Lists>(queryKey, (lists) => {
      const at = lists?.pages.findIndex(({ items }) => items.some((row) => row.id === id)) ?? -1
      const page = lists?.pages[at]
      if (lists === undefined || page === undefined) return lists
      found = true
      const items = page.items
        .map((row) => (row.id === id ? patch(row) : row))
        .filter((row) => row.id !== id || state === undefined || row.state === state)
      return { ...lists, pages: lists.pages.with(at, { ...page, items }) }
    })
  }
  return found
}

/** Whether a list that somebody looks at would have a job that is new, or now in this state. */
export const wouldShow = (cache: QueryClient, { type }: FeedEvent, state: Job['state'] | null): boolean =>
  cache
    .getQueryCache()
    .findAll({ queryKey: ['jobs'], type: 'active' })
    .some(
      ({ queryKey }) =>
        type === 'job.queued' || (state !== null && (queryKey[1] as JobFilters).state === state),
    )

/** Puts jobs that are new before those that a list shows; what it has read further down stays. */
export async function refreshHeads(api: Api, cache: QueryClient, signal: AbortSignal): Promise<void> {
  for (const query of cache.getQueryCache().findAll({ queryKey: ['jobs'], type: 'active' })) {
    const filters = query.queryKey[1] as JobFilters
    const head = await readPage(api, filters, null, signal)
    cache.setQueryData<Lists>(query.queryKey, (lists) => lists && withHead(lists, head))
  }
}

/** Exported for its tests. */
export function withHead(lists: Lists, head: RowPage): Lists {
  const shown = new Set(lists.pages.flatMap(({ items }) => items.map(({ id }) => id)))
  const overlaps = head.items.some(({ id }) => shown.has(id))
  // More came than a page holds, or nothing was there: begin anew.
  if (!overlaps) return { pages: [head], pageParams: [null] }
  const fresh = new Map(head.items.map((row) => [row.id, row]))
  const [first, ...rest] = lists.pages.map((page) => ({
    ...page,
    items: page.items.map((row) => fresh.get(row.id) ?? row),
  }))
  if (first === undefined) return { pages: [head], pageParams: [null] }
  const added = head.items.filter(({ id }) => !shown.has(id))
  return { ...lists, pages: [{ ...first, items: [...added, ...first.items] }, ...rest] }
}

const states: ReadonlySet<unknown> = new Set([
  'queued',
  'scheduled',
  'running',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
])

/** The state that an event tells of; null: it tells of none. */
export function stateIn({ data }: FeedEvent): Job['state'] | null {
  const { state } = data as { state?: unknown }
  return states.has(state) ? (state as Job['state']) : null
}
