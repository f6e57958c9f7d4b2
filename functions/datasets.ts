import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import {
  createDataset,
  datasetRequest,
  type DatasetView,
  deleteDataset,
  findDataset,
  listDatasets,
  readDataset,
} from '../jobs/datasets.ts'
import { completeDataset, dropParts, putPart } from '../jobs/uploads.ts'
import type { Deps } from '../jobs/deps.ts'
import type { DatasetRow } from '../jobs/plan.ts'
import { bodyOf } from './_body.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, limit, octetBody, page } from './_schemas.ts'

const tags = ['datasets']
const count = z.int().min(0)
const dataset = z
  .object({
    id: z.string().meta({ example: 'ds_01jd3m4k5nep7r8r9s0t1v2w3x' }),
    name: z.string(),
    format: z.enum(['parquet', 'csv']),
    bytes: count,
    sha256: z.string(),
    adjustment: z.enum(['none', 'split', 'total']),
    timezone: z.string().nullable(),
    bar_label: z.enum(['start', 'end']).nullable(),
    currency: z.string().nullable(),
    state: z.enum(['uploading', 'ready']),
    columns: z.array(z.string()).nullable(),
    rows: count.nullable().meta({ description: 'null: the file does not tell.' }),
    first: z.string().nullable(),
    last: z.string().nullable(),
    created_at: z.iso.datetime(),
    upload: z
      .object({ part_bytes: count, parts: count, received: z.array(count) })
      .nullable()
      .meta({ description: 'While it is uploaded: PUT the parts that have not come, then complete it.' }),
  })
  .meta({ id: 'Dataset' })

export const openRoute = createRoute({
  method: 'post',
  path: '/v1/datasets',
  operationId: 'createDataset',
  summary: 'Begin or go on with an upload; ready at once where the project has the content already',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: datasetRequest } } } },
  responses: {
    200: json200(dataset, 'The upload that was begun before, or the dataset that there is'),
    201: json200(dataset, 'The dataset'),
    ...problemAnswers,
  },
})

export const create =
  (deps: Deps): RouteHandler<typeof openRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const made = await createDataset(deps, project_id, c.req.valid('json'))
    c.header('Location', `/v1/datasets/${made.dataset.id}`)
    return c.json(made.dataset, made.created ? 201 : 200)
  }

export const partRoute = createRoute({
  method: 'put',
  path: '/v1/datasets/{id}/parts/{number}',
  operationId: 'putDatasetPart',
  summary: 'Upload one part; the same again replaces it',
  tags,
  request: {
    params: idParam.extend({
      number: z.coerce
        .number()
        .int()
        .min(0)
        .max(100_000)
        .meta({ param: { name: 'number', in: 'path' } }),
    }),
    body: octetBody,
  },
  responses: { 200: json200(z.object({ bytes: count, sha256: z.string() }), 'Stored'), ...problemAnswers },
})

export const part =
  (deps: Deps): RouteHandler<typeof partRoute, Env> =>
  async (c) => {
    const { id, number } = c.req.valid('param')
    const row = await findDataset(deps, c.get('principal').project_id, id)
    return c.json(await putPart(deps, row, number, bodyOf(c)), 200)
  }

export const completeRoute = createRoute({
  method: 'post',
  path: '/v1/datasets/{id}/complete',
  operationId: 'completeDataset',
  summary: 'Put the parts together; the whole must have the sha256 that was named',
  tags,
  request: { params: idParam },
  responses: { 200: json200(dataset, 'Ready'), ...problemAnswers },
})

export const complete = (deps: Deps): RouteHandler<typeof completeRoute, Env> => {
  const underWay = new Map<string, Promise<DatasetView>>()
  /** A large file takes minutes: who asks again meanwhile waits for the same, where requests may wait for each other. */
  const once = (row: DatasetRow): Promise<DatasetView> => {
    if (deps.gather === null) return completeDataset(deps, row)
    const known = underWay.get(row.id)
    if (known) return known
    const made = completeDataset(deps, row).finally(() => underWay.delete(row.id))
    underWay.set(row.id, made)
    return made
  }
  return async (c) => {
    const row = await findDataset(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json(await once(row), 200)
  }
}

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/datasets',
  operationId: 'listDatasets',
  summary: 'The datasets of the project, newest first',
  tags,
  request: { query: z.strictObject({ limit, cursor: z.string().max(64).optional() }) },
  responses: { 200: json200(page(dataset), 'A page'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json(await listDatasets(deps, c.get('principal').project_id, c.req.valid('query')), 200)

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/datasets/{id}',
  operationId: 'getDataset',
  summary: 'One dataset',
  tags,
  request: { params: idParam },
  responses: { 200: json200(dataset, 'The dataset'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) =>
    c.json(await readDataset(deps, c.get('principal').project_id, c.req.valid('param').id), 200)

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/datasets/{id}',
  operationId: 'deleteDataset',
  summary: 'Delete a dataset; jobs that were submitted with it still read it',
  tags,
  request: { params: idParam },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    const { id } = c.req.valid('param')
    await deleteDataset(deps, c.get('principal').project_id, id)
    await dropParts(deps, id)
    return c.body(null, 204)
  }
