import { queryOptions } from '@tanstack/react-query'
import { type Api, answered } from './client.ts'

export const keysQuery = (api: Api) =>
  queryOptions({ queryKey: ['keys'], queryFn: () => answered(api.routes.v1.keys.$get()) })

export const webhooksQuery = (api: Api) =>
  queryOptions({ queryKey: ['webhooks'], queryFn: () => answered(api.routes.v1.webhooks.$get()) })

export const webhookDeliveriesQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['deliveries', id],
    queryFn: () => answered(api.routes.v1.webhooks[':id'].deliveries.$get({ param: { id }, query: {} })),
  })

export const secretsQuery = (api: Api) =>
  queryOptions({ queryKey: ['secrets'], queryFn: () => answered(api.routes.v1.secrets.$get()) })

export const policyQuery = (api: Api) =>
  queryOptions({ queryKey: ['policy'], queryFn: () => answered(api.routes.v1.policy.$get()) })

export const projectQuery = (api: Api) =>
  queryOptions({ queryKey: ['project'], queryFn: () => answered(api.routes.v1.project.$get()) })

export const datasetsQuery = (api: Api) =>
  queryOptions({
    queryKey: ['datasets'],
    queryFn: () => answered(api.routes.v1.datasets.$get({ query: { limit: '500' } })),
  })

export const membersQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['members', id],
    queryFn: () => answered(api.routes.v1.projects[':id'].members.$get({ param: { id } })),
  })

export const invitationsQuery = (api: Api, id: string) =>
  queryOptions({
    queryKey: ['invitations', id],
    queryFn: () => answered(api.routes.v1.projects[':id'].invitations.$get({ param: { id } })),
  })
