import { queryOptions } from '@tanstack/react-query'
import { type Api, answered } from './client.ts'

export const overviewQuery = (api: Api) =>
  queryOptions({ queryKey: ['overview'], queryFn: () => answered(api.routes.v1.overview.$get()) })

export const recentJobsQuery = (api: Api, state: 'running' | 'failed', limit: number) =>
  queryOptions({
    queryKey: ['overview', 'jobs', state, limit],
    queryFn: () => answered(api.routes.v1.jobs.$get({ query: { state, limit: String(limit) } })),
  })

export type UsageGroup = 'project' | 'kind' | 'provider' | 'label' | 'day'

export const usageQuery = (
  api: Api,
  query: { group_by: UsageGroup; label?: string; from?: string; to?: string },
) =>
  queryOptions({ queryKey: ['usage', query], queryFn: () => answered(api.routes.v1.usage.$get({ query })) })

export const budgetsQuery = (api: Api) =>
  queryOptions({ queryKey: ['budgets'], queryFn: () => answered(api.routes.v1.budgets.$get()) })

/** The days of UTC that the ledger is kept by. */
export const dayOf = (at: Date): string => at.toISOString().slice(0, 10)
export const monthStart = (at: Date): string => `${at.toISOString().slice(0, 7)}-01T00:00:00.000Z`
export const daysAgo = (at: Date, days: number): string =>
  `${dayOf(new Date(at.getTime() - days * 86_400_000))}T00:00:00.000Z`
