import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listGpus } from '../jobs/gpus.ts'
import { listOffers } from '../jobs/inventory.ts'
import { rememberedCodes } from '../jobs/memory.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200, limit, page } from './_schemas.ts'

const tags = ['inventory']
const name = z.string().max(200).optional()
export const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional()
const cursor = z.string().max(1_000).optional()
const at = z.iso.datetime()
const figure = z.number().nullable()

export const rate = z.object({
  per_usd: z.number(),
  at: z.string().nullable().meta({ description: 'The day that it is of; null: nobody has said.' }),
  source: z.string(),
  is_old: z.boolean().meta({ description: 'Older than 30 days, or without a date.' }),
})
const gpuShape = z.object({
  model: z.string(),
  count: z.int(),
  memory_gib: z.number(),
  compute_capability: z.string().nullable(),
  class: z.enum(['rtx', 'data_centre']).nullable(),
  unknown: z.boolean().meta({ description: 'The catalogue of models does not have it.' }),
})
const place = {
  provider: z.string(),
  account: z.string(),
  region: z.string(),
  offer: z.string(),
  spot: z.boolean(),
  usd_per_hour: z.number(),
}
const offer = z
  .object({
    ...place,
    gpu: gpuShape.nullable(),
    cpu: z.number(),
    memory_gib: z.number(),
    disk_gib: z.number(),
    available: figure.meta({
      description: 'How many more the vendor says that it has; null: it does not say.',
    }),
    slots: figure.meta({ description: 'Most attempts at once, of fixed capacity; null: stock decides.' }),
    running: z.int().meta({ description: 'Attempts that hold it, of all projects.' }),
    blocked: z
      .object({ reason: z.enum(rememberedCodes), until: at, failures: z.int() })
      .nullable()
      .meta({ description: 'Why and until when it is not asked for, after it refused a launch.' }),
    stale_since: at.nullable().meta({
      description: 'Since when its vendor could not be asked for it; null: it is of the last list.',
    }),
    price: z.object({
      source: z.string().nullable(),
      at: z.string().nullable().meta({ description: 'As of when; null: not known.' }),
      age_s: z.int().min(0).nullable(),
      live: z.boolean().meta({ description: 'false: whoever set the account up named it.' }),
      currency: z.string(),
      per_hour: z.number().meta({ description: 'In that currency.' }),
      rate: rate.nullable().meta({ description: 'By which it is in USD; null: it is billed in USD.' }),
    }),
  })
  .meta({ id: 'Offer' })

export const offersRoute = createRoute({
  method: 'get',
  path: '/v1/offers',
  operationId: 'listOffers',
  summary: 'What placement chooses from, cheapest first',
  tags,
  request: {
    query: z.strictObject({
      provider: name,
      account: name,
      region: name,
      gpu: name.meta({ description: 'A model, like "RTX 4090".' }),
      spot: flag,
      max_usd_per_hour: z.coerce.number().min(0).optional(),
      free: flag.meta({ description: 'Those that would take a launch now, or would not.' }),
      limit,
      cursor,
    }),
  },
  responses: { 200: json200(page(offer), 'A page'), ...problemAnswers },
})

export const offers =
  (deps: Deps): RouteHandler<typeof offersRoute, Env> =>
  async (c) =>
    c.json(await listOffers(deps, c.req.valid('query')), 200)

const gpu = z
  .object({
    ...place,
    attempt_id: z
      .string()
      .nullable()
      .meta({ description: 'Whose machine it is part of; null: fixed capacity.' }),
    index: z.int(),
    model: z.string(),
    compute_capability: z.string().nullable(),
    running: z.int().meta({ description: 'Attempts on it, of all projects.' }),
    slots: figure,
    memory_gib: figure,
    memory_used_gib: figure,
    memory_free_gib: figure,
    utilization: figure.meta({ description: 'Share of 1.' }),
    temperature_c: figure,
    power_w: figure,
    driver: z.string().nullable(),
    cuda: z.string().nullable(),
    at: at.nullable().meta({ description: 'When its machine said so; null: it has not.' }),
  })
  .meta({ id: 'Gpu', description: 'What its machine has not told is null.' })

export const gpusRoute = createRoute({
  method: 'get',
  path: '/v1/gpus',
  operationId: 'listGpus',
  summary: 'GPUs of fixed capacity, and those of clouds that work for the project',
  tags,
  request: { query: z.strictObject({ provider: name, gpu: name, limit, cursor }) },
  responses: { 200: json200(page(gpu), 'A page'), ...problemAnswers },
})

export const gpus =
  (deps: Deps): RouteHandler<typeof gpusRoute, Env> =>
  async (c) =>
    c.json(await listGpus(deps, c.get('principal').project_id, c.req.valid('query')), 200)
