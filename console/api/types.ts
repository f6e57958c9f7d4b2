// What the routes answer, by name.
import type { InferResponseType } from 'hono/client'
import type { Answer, Client } from './client.ts'

type V1 = Client['v1']
type JobRoutes = V1['jobs'][':id']
type Of<Route extends (...args: never[]) => Promise<unknown>> = Answer<
  Exclude<InferResponseType<Route>, string>
>
type Item<Route extends (...args: never[]) => Promise<unknown>> =
  Of<Route> extends { items: (infer Each)[] } ? Each : never

export type Job = Of<JobRoutes['$get']>
export type JobPage = Of<V1['jobs']['$get']>
export type Attempt = Item<JobRoutes['attempts']['$get']>
export type LogLine = Item<JobRoutes['logs']['$get']>
export type Estimate = Of<V1['jobs']['estimate']['$post']>
export type RankedOffer = Estimate['offers'][number]
export type Rejection = Estimate['rejected'][number]
export type Artifact = Item<JobRoutes['artifacts']['$get']>
export type FeedEvent = Item<V1['events']['$get']>
export type Delivery = Item<JobRoutes['deliveries']['$get']>
export type JobBody = Parameters<V1['jobs']['$post']>[0]['json']
export type Offer = Item<V1['offers']['$get']>
export type OfferSource = Item<V1['offers']['sources']['$get']>
export type Gpu = Item<V1['gpus']['$get']>
export type ProviderAccount = Item<V1['provider-accounts']['$get']>
export type OrphanList = Of<V1['orphans']['$get']>
export type Limit = Item<V1['limits']['$get']>
export type Budget = Item<V1['budgets']['$get']>
export type UsageRow = Item<V1['usage']['$get']>
export type ApiKey = Item<V1['keys']['$get']>
export type Webhook = Item<V1['webhooks']['$get']>
export type Policy = Of<V1['policy']['$get']>
export type Secret = Item<V1['secrets']['$get']>
export type Dataset = Item<V1['datasets']['$get']>
export type Project = Of<V1['project']['$get']>
export type Machine = Item<JobRoutes['machines']['$get']>
export type Overview = Of<V1['overview']['$get']>
export type RunningAttempt = Item<V1['attempts']['$get']>
export type Me = Of<V1['me']['$get']>
export type Member = Item<V1['projects'][':id']['members']['$get']>
export type Invitation = Item<V1['projects'][':id']['invitations']['$get']>
export type AuditEntry = Item<V1['audit']['$get']>
