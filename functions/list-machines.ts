import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listMachines } from '../jobs/machines.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, page } from './_schemas.ts'

const json = z.record(z.string(), anyJson)
const machine = z
  .object({
    attempt_id: z.string(),
    shard: z.int(),
    number: z.int(),
    at: z.iso.datetime(),
    progress: z.number().nullable(),
    phase: z.string().nullable(),
    step: z.number().nullable(),
    steps: z.number().nullable(),
    metrics: json.meta({ description: 'Figures that the program told of.' }),
    machine: json.meta({
      description:
        '`cpu` and `memory` as shares of 1, `gpus: [{ utilization, memory_used_gib, temperature_c, power_w }]`; what is not known is left out.',
    }),
  })
  .meta({ id: 'Machine', description: 'What the runner of an attempt said last.' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/machines',
  operationId: 'listMachines',
  summary: 'How far the attempts of a job that are at work are, and how their machines do',
  tags: ['jobs'],
  request: { params: idParam },
  responses: { 200: json200(page(machine), 'By part'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const items = await listMachines(deps, project_id, c.req.valid('param').id)
    return c.json({ items, next_cursor: null }, 200)
  }
