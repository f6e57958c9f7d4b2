// Who did what in a project, or in the whole installation.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { type AuditFilter, exportAudit, readAudit } from '../jobs/audit-log.ts'
import type { Deps } from '../jobs/deps.ts'
import type { Principal } from '../jobs/keys.ts'
import { streamOf } from '../jobs/stream.ts'
import { requireRight } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, json200, limit, page, text } from './_schemas.ts'

const tags = ['people']
const time = z.iso.datetime({ offset: true }).optional()
const filter = {
  of: z
    .enum(['project', 'installation'])
    .default('project')
    .meta({ description: '`installation`: of all projects and of none (operator).' }),
  action: text(64).optional().meta({ description: '`key.created`, or `key.` for all that begin so.' }),
  actor: text(64).optional().meta({ description: 'Id of a key or a user.' }),
  subject: text(300).optional().meta({ description: 'Id of what was changed.' }),
  from: time,
  to: time,
}

export const entry = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    project_id: z.string().nullable(),
    by: z
      .enum(['key', 'user', 'command', 'berth'])
      .meta({ description: '`command`: on the server’s machine.' }),
    actor: z.string().nullable(),
    address: z.string().nullable(),
    request_id: z.string().nullable(),
    action: z.string(),
    subject: z.string().nullable(),
    before: anyJson,
    after: anyJson,
  })
  .meta({ id: 'AuditEntry' })

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/audit',
  operationId: 'listAudit',
  summary: 'Who did what, newest first (admin; of the installation: operator)',
  tags,
  request: { query: z.strictObject({ ...filter, limit, cursor: text(32).optional() }) },
  responses: { 200: json200(page(entry), 'A page'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) => {
    const { limit: most, cursor, ...asked } = c.req.valid('query')
    const found = await readAudit(deps, filterOf(c.get('principal'), asked), { limit: most, cursor })
    return c.json(found, 200)
  }

export const exportRoute = createRoute({
  method: 'get',
  path: '/v1/audit/export',
  operationId: 'exportAudit',
  summary: 'The same as one file (admin; of the installation: operator)',
  tags,
  request: { query: z.strictObject({ ...filter, format: z.enum(['csv', 'ndjson']).default('ndjson') }) },
  responses: {
    200: {
      description: 'The file',
      content: { 'text/csv': { schema: z.string() }, 'application/x-ndjson': { schema: z.string() } },
    },
    ...problemAnswers,
  },
})

const types = { csv: 'text/csv; charset=utf-8', ndjson: 'application/x-ndjson' }

export const exportAll =
  (deps: Deps): RouteHandler<typeof exportRoute, Env> =>
  (c) => {
    const { format, ...asked } = c.req.valid('query')
    const lines = exportAudit(deps, filterOf(c.get('principal'), asked), format)
    return c.body(streamOf(lines).pipeThrough(new TextEncoderStream()), 200, {
      'Content-Type': types[format],
      'Content-Disposition': `attachment; filename="audit.${format}"`,
      'Cache-Control': 'no-store',
    })
  }

function filterOf(
  principal: Principal,
  { of, ...rest }: Omit<AuditFilter, 'project_id'> & { of: 'project' | 'installation' },
): AuditFilter {
  if (of === 'installation') requireRight(principal, 'operator')
  return { ...rest, project_id: of === 'installation' ? null : principal.project_id }
}
