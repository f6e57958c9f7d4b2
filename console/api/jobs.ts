import {
  type InfiniteData,
  infiniteQueryOptions,
  type QueryClient,
  queryOptions,
} from '@tanstack/react-query'
import { type Api, answered } from './client.ts'
import { idsOf, type JobRow, pageOf, rowOf, type RowPage, rowsOf } from './job-rows.ts'
import type { FeedEvent, Job, JobPage } from './types.ts'

export interface JobFilters {
  state?: Job['state'] | undefined
  kind?: string | undefined
  label?: string | undefined
  provider?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
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
    // The feed says what changes.
    staleTime: Number.POSITIVE_INFINITY,
    structuralSharing: false,
  })

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
  return pageOf(page.items.map(rowOf), page.next_cursor)
}

export const jobQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id],
    queryFn: ({ signal }) =>
      answered(api.routes.v1.jobs[':id'].$get({ param: { id }, query: {} }, { init: { signal } })),
  })

type Lists = InfiniteData<RowPage, string | null>

/** Puts a change of one job into every list that shows it; a list of one state lets go of what has another now. */
export function patchRows(cache: QueryClient, id: string, patch: (row: JobRow) => JobRow): void {
  for (const { queryKey } of cache.getQueryCache().findAll({ queryKey: ['jobs'] })) {
    const { state } = queryKey[1] as JobFilters
    cache.setQueryData<Lists>(queryKey, (lists) => {
      const at = lists?.pages.findIndex(({ ids }) => ids.includes(id)) ?? -1
      const page = lists?.pages[at]
      if (lists === undefined || page === undefined) return lists
      const rows = rowsOf(page)
        .map((row) => (row.id === id ? patch(row) : row))
        .filter((row) => row.id !== id || state === undefined || row.state === state)
      return { ...lists, pages: lists.pages.with(at, pageOf(rows, page.next_cursor)) }
    })
  }
}

export const isListed = (cache: QueryClient, id: string): boolean =>
  cache
    .getQueriesData<Lists>({ queryKey: ['jobs'] })
    .some(([, lists]) => lists?.pages.some(({ ids }) => ids.includes(id)))

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
  const fresh = new Map(rowsOf(head).map((row) => [row.id, row]))
  const shown = new Set<string>()
  const pages = lists.pages.map((page) => {
    const again = idsOf(page).filter((id) => fresh.has(id))
    for (const id of again) shown.add(id)
    return again.length === 0
      ? page
      : pageOf(
          rowsOf(page).map((row) => fresh.get(row.id) ?? row),
          page.next_cursor,
        )
  })
  const [first, ...rest] = pages
  // More came than a page holds, or nothing was there: begin anew.
  if (first === undefined || shown.size === 0) return { pages: [head], pageParams: [null] }
  const added = [...fresh.values()].filter(({ id }) => !shown.has(id))
  if (added.length === 0) return { ...lists, pages }
  // A page stays small enough to be opened between two frames.
  return first.count + added.length > page_size
    ? { pages: [pageOf(added, head.next_cursor), ...pages], pageParams: [null, ...lists.pageParams] }
    : { ...lists, pages: [pageOf([...added, ...rowsOf(first)], first.next_cursor), ...rest] }
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
