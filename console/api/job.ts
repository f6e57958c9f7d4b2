// What there is beside a job itself. Keys begin with the job's, so that a change of it reads them anew.
import { queryOptions } from '@tanstack/react-query'
import { type Api, answered } from './client.ts'

/** All attempts of a job that anyone looks at: 64 parts with some retries. */
const maxAttempts = '500'

const of = (api: Api) => api.routes.v1.jobs[':id']

export const attemptsQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id, 'attempts'],
    queryFn: () => answered(of(api).attempts.$get({ param: { id }, query: { limit: maxAttempts } })),
  })

export const explainQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id, 'explain'],
    queryFn: () => answered(of(api).explain.$get({ param: { id } })),
  })

export const specQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['spec', id],
    queryFn: () => answered(of(api).spec.$get({ param: { id } })),
    staleTime: Number.POSITIVE_INFINITY,
  })

export const artifactsQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id, 'artifacts'],
    queryFn: () => answered(of(api).artifacts.$get({ param: { id } })),
  })

export const machinesQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id, 'machines'],
    queryFn: () => answered(of(api).machines.$get({ param: { id }, query: {} })),
  })

/** Of all attempts, with what each said over its life: read once, for what comes after it is added from `machinesQuery`. */
export const machineHistoryQuery = (api: Api, id: string, is_over: boolean) =>
  queryOptions({
    queryKey: ['machine-history', id, is_over],
    queryFn: () => answered(of(api).machines.$get({ param: { id }, query: { history: 'true' } })),
    staleTime: Number.POSITIVE_INFINITY,
  })

export const jobDeliveriesQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['job', id, 'deliveries'],
    queryFn: () => answered(of(api).deliveries.$get({ param: { id }, query: {} })),
  })
