// Keeps what is shown as it is: one connection for the whole console, whose events change the cache.
import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { createContext, type ReactNode, useContext, useEffect, useState } from 'react'
import { type Berth, useBerth, useCredential } from './context.tsx'
import { type FeedState, followFeed } from './feed.ts'
import { rowOf } from './job-rows.ts'
import { isListed, jobQuery, patchRows, refreshHeads, stateIn, wouldShow } from './jobs.ts'
import type { FeedEvent, Job } from './types.ts'

/** Of a burst of events one answer is read for all: four times a second is live enough beside the states themselves. */
const gather_ms = 250
/** More jobs than this that change within one gathering are not read one by one. */
const maxRead = 20

const LiveContext = createContext<FeedState>('connecting')
export const useFeedState = (): FeedState => useContext(LiveContext)

export function LiveProvider({ children }: { children: ReactNode }) {
  const berth = useBerth()
  const cache = useQueryClient()
  const credential = useCredential()
  const [state, setState] = useState<FeedState>('connecting')
  useEffect(() => {
    if (credential === null) return
    const gone = new AbortController()
    const gathered = gather(berth, cache, gone.signal)
    void followFeed({
      fetch: berth.fetch,
      credentials: berth.credentials,
      signal: gone.signal,
      onState: setState,
      onEvent: gathered,
      onGap: () => void cache.invalidateQueries(),
      pause,
    })
    return () => gone.abort()
  }, [berth, cache, credential])
  return <LiveContext value={state}>{children}</LiveContext>
}

/** With them come a result, a cost and times: a job that is looked at is read whole, and not said to have ended before. */
const ends: ReadonlySet<Job['state']> = new Set(['succeeded', 'failed', 'cancelled'])

/** Shows a state at once, and reads the rest of what changed a moment later. */
function gather({ api }: Berth, cache: QueryClient, signal: AbortSignal): (event: FeedEvent) => void {
  const changed = new Set<string>()
  let has_new = false
  let timer: ReturnType<typeof setTimeout> | null = null
  const read = async () => {
    timer = null
    const ids = [...changed].slice(0, maxRead)
    changed.clear()
    const heads = has_new
    has_new = false
    if (heads) await refreshHeads(api, cache, signal)
    for (const id of ids) await refreshJob(api, cache, id)
    await cache.invalidateQueries({ queryKey: ['overview'] })
  }
  return (event) => {
    const { job_id } = event
    if (job_id === null) {
      void cache.invalidateQueries({ predicate: ({ queryKey }) => subjects.has(String(queryKey[0])) })
      return
    }
    const state = stateIn(event)
    if (state !== null) {
      patchRows(cache, job_id, (row) => ({ ...row, state }))
      const { queryKey } = jobQuery(api, job_id)
      if (!ends.has(state)) cache.setQueryData(queryKey, (job) => job && { ...job, state })
      else if (cache.getQueryCache().find({ queryKey })?.isActive())
        void refreshJob(api, cache, job_id).catch(() => undefined)
    }
    changed.add(job_id)
    has_new ||= wouldShow(cache, event, state)
    timer ??= setTimeout(() => void read().catch(() => undefined), gather_ms)
  }
}

/** What events that are of no job tell of. */
const subjects = new Set(['budgets', 'webhooks', 'accounts', 'overview'])

async function refreshJob(api: Berth['api'], cache: QueryClient, id: string): Promise<void> {
  const { queryKey } = jobQuery(api, id)
  const isOpen = cache.getQueryState(queryKey) !== undefined
  if (!isOpen && !isListed(cache, id)) return
  const job = await cache.fetchQuery({ ...jobQuery(api, id), staleTime: 0 })
  patchRows(cache, id, () => rowOf(job))
  if (!isOpen) cache.removeQueries({ queryKey, exact: true })
  await cache.invalidateQueries({ queryKey: ['job', id], predicate: ({ queryKey: key }) => key.length > 2 })
}

/** A browser that finds its network again does not wait for the rest of the time. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      window.removeEventListener('online', done)
      resolve()
    }
    signal.addEventListener('abort', done)
    window.addEventListener('online', done)
  })
}
