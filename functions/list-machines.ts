import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listMachines } from '../jobs/machines.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, page } from './_schemas.ts'

const json = z.record(z.string(), anyJson)
const share = z.number().optional()
const sample = z
  .object({
    at: z.iso.datetime(),
    progress: share,
    cpu: share,
    memory: share,
    gpus: z.array(z.record(z.string(), z.number())).optional(),
  })
  .meta({ id: 'MachineSample', description: 'As `machine`: shares of 1, of the first eight GPUs.' })
const machine = z
  .object({
    attempt_id: z.string(),
    shard: z.int(),
    number: z.int(),
    at: z.iso.datetime(),
    ended_at: z.iso.datetime().nullable(),
    progress: z.number().nullable(),
    phase: z.string().nullable(),
    step: z.number().nullable(),
    steps: z.number().nullable(),
    metrics: json.meta({ description: 'Figures that the program told of.' }),
    machine: json.meta({
      description:
        '`cpu` and `memory` as shares of 1, `gpus: [{ utilization, memory_used_gib, temperature_c, power_w }]`; what is not known is left out.',
    }),
    history: z.array(sample).optional().meta({
      description: 'At most 120 of its reports, from the first to the last, evenly. With `history=true`.',
    }),
  })
  .meta({ id: 'Machine', description: 'What the runner of an attempt said last.' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/machines',
  operationId: 'listMachines',
  summary: 'How far the attempts of a job that are at work are, and how their machines do',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      history: z
        .enum(['true', 'false'])
        .default('false')
        .meta({ description: '`true`: attempts that have ended too, and what each said over its life.' }),
    }),
  },
  responses: { 200: json200(page(machine), 'By part'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const history = c.req.valid('query').history === 'true'
    const items = await listMachines(deps, project_id, c.req.valid('param').id, { history })
    return c.json({ items, next_cursor: null }, 200)
  }
