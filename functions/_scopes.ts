// Which service each operation belongs to, for keys that are narrowed to some (jobs/scopes.ts).
import type { MiddlewareHandler } from 'hono'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Principal } from '../jobs/keys.ts'
import { type Area, isWithin, kindsFor } from '../jobs/scopes.ts'
import type { Env } from './_env.ts'

const jobs = [
  'createJob',
  'createJobs',
  'estimateJob',
  'listJobs',
  'getJob',
  'deleteJob',
  'stopJob',
  'cancelJob',
  'cancelJobs',
  'explainJob',
  'listEvents',
  'readFeed',
  'readLogs',
  'listAttempts',
  'listPoints',
  'readResult',
  'listArtifacts',
  'readArtifact',
  'listJobDeliveries',
  'listMachines',
  'listTrades',
  'readOverview',
  'readSeries',
  'readSpec',
  'readSurface',
  'readTable',
]
const data = [
  'createDataset',
  'listDatasets',
  'getDataset',
  'deleteDataset',
  'putDatasetPart',
  'completeDataset',
]
/** Of no service, and no secret: what there is to run on, what it costs, what bounds it, and who one is. */
const open = [
  'listOffers',
  'listOfferHistory',
  'listGpus',
  'listLimits',
  'listBudgets',
  'readPolicy',
  'readProject',
  'getProject',
  'readUsage',
]

/** Whatever is not named elsewhere is a setting, so that a new operation is closed until somebody says otherwise. */
function areaOf(operation: string): Area {
  if (jobs.includes(operation)) return 'jobs'
  if (data.includes(operation)) return 'data'
  return open.includes(operation) ? 'open' : 'settings'
}

/** By their names: an operation that reads is called so. */
const isRead = (operation: string) => /^(list|get|read|explain|export)[A-Z]/.test(operation)

/** Refuses a key that is narrowed to other services. What it names is looked at where it is narrowed to kinds of jobs. */
export function requireScope({ db }: Pick<Deps, 'db'>, operation: string): MiddlewareHandler<Env> {
  const area = areaOf(operation)
  const writes = !isRead(operation)
  if (area === 'open') return (_, next) => next()
  return async (c, next) => {
    const principal = c.get('principal')
    if (principal.by === 'user' || principal.scopes === null) return next()
    if (!isWithin(principal, area, writes)) throw refused(principal, area, writes)
    const kinds = area === 'jobs' ? kindsFor(principal, writes) : 'all'
    if (typeof kinds === 'string') return next()
    const id = c.req.param('id')
    const asked =
      id === undefined
        ? c.req.method === 'GET'
          ? [c.req.query('kind')]
          : kindsIn((await c.req.json()) as unknown)
        : await kindOf(db, principal.project_id, id)
    if (!asked.every((kind) => kind !== undefined && kinds.includes(kind)))
      throw new AppError(
        'forbidden',
        `This key is for jobs of the kind ${kinds.join(', ')} alone: name the kind, or use another key.`,
      )
    return next()
  }
}

/** Of what is submitted, or of the filter of what is cancelled. */
function kindsIn(body: unknown): (string | undefined)[] {
  const { jobs: all } = (body ?? {}) as { jobs?: unknown }
  return (Array.isArray(all) ? all : [body]).map((each) => {
    const { kind } = (each ?? {}) as { kind?: unknown }
    return typeof kind === 'string' ? kind : undefined
  })
}

/** None of a job that is not there: the handler says so. */
async function kindOf(db: Deps['db'], project_id: string, id: string): Promise<string[]> {
  const row = await db
    .selectFrom('jobs')
    .select('kind')
    .where('id', '=', id)
    .where('project_id', '=', project_id)
    .executeTakeFirst()
  return row ? [row.kind] : []
}

function refused({ scopes }: Principal & { by: 'key' }, area: Area, writes: boolean): AppError {
  const needed = area === 'settings' ? 'admin' : `${area}:${writes ? 'write' : 'read'}`
  return new AppError(
    'forbidden',
    `This needs a key with the scope ${needed}; this one has ${scopes?.join(', ')}.`,
  )
}

/** Whether an operation is within what a key is narrowed to. */
export const isInScope = (principal: Principal, operation: string): boolean =>
  principal.by === 'user' || isWithin(principal, areaOf(operation), !isRead(operation))
