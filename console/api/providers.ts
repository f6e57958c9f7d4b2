import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { type Api, answered } from './client.ts'

export const accountsQuery = (api: Api) =>
  queryOptions({ queryKey: ['accounts'], queryFn: () => answered(api.routes.v1['provider-accounts'].$get()) })

export const orphansQuery = (api: Api) =>
  queryOptions({ queryKey: ['orphans'], queryFn: () => answered(api.routes.v1.orphans.$get()) })

export interface OfferFilters {
  provider?: string
  account?: string
  region?: string
  gpu?: string
  spot?: 'true' | 'false'
  max_usd_per_hour?: string
  free?: 'true' | 'false'
}

const offers_at_once = '500'

export const offersQuery = (api: Api, filters: OfferFilters) =>
  infiniteQueryOptions({
    queryKey: ['offers', filters],
    queryFn: ({ pageParam }) =>
      answered(
        api.routes.v1.offers.$get({
          query: { ...filters, limit: offers_at_once, ...(pageParam === null ? {} : { cursor: pageParam }) },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  })

export const offerHistoryQuery = (
  api: Api,
  of: { provider: string; account: string; offer: string; region: string; spot: boolean },
) =>
  queryOptions({
    queryKey: ['offer-history', of],
    queryFn: () =>
      answered(
        api.routes.v1.offers.history.$get({
          query: { ...of, spot: of.spot ? 'true' : 'false', limit: '500' },
        }),
      ),
  })

export const sourcesQuery = (api: Api) =>
  queryOptions({
    queryKey: ['offers', 'sources'],
    queryFn: () => answered(api.routes.v1.offers.sources.$get()),
  })

export const gpusQuery = (api: Api) =>
  queryOptions({
    queryKey: ['gpus'],
    queryFn: () => answered(api.routes.v1.gpus.$get({ query: { limit: '500' } })),
  })

export const limitsQuery = (api: Api) =>
  queryOptions({ queryKey: ['limits'], queryFn: () => answered(api.routes.v1.limits.$get()) })

export const runningQuery = (api: Api, of: { provider?: string; account?: string }) =>
  queryOptions({
    queryKey: ['running', of],
    queryFn: () => answered(api.routes.v1.attempts.$get({ query: { ...of, limit: '500' } })),
  })
