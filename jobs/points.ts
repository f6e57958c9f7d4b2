// Points of a sweep: the best of each shard, as its runner reports them while it runs and at its end.
import { sql } from 'kysely'
import { z } from 'zod'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { AttemptRow } from './plan.ts'
import type { Tx } from './store/schema.ts'
import type { JsonObject } from './view.ts'

/** Of one shard at its end; all of them are in its artifacts. */
export const maxPoints = 1_000
/** Of one shard while it runs: enough for a chart, little enough for a heartbeat. */
export const maxPartialPoints = 100

const named = z.record(z.string().max(64), z.union([z.number(), z.string().max(200), z.boolean(), z.null()]))
const row = z.object({
  point: z.int().min(0),
  objective: z.number().nullable(),
  parameters: named,
  metrics: named,
})

/** What a program says of its points; what is not a point is left out: a result must not be lost with it. */
export const reportedPoints = (most: number) =>
  z
    .array(z.unknown())
    .max(most)
    .transform((items) => items.flatMap((item) => row.safeParse(item).data ?? []))
type Point = z.output<typeof row>

/** Puts a shard's points in the place of those that it reported before. */
export async function writePoints(
  tx: Tx,
  { project_id, job_id, shard_index }: Pick<AttemptRow, 'project_id' | 'job_id' | 'shard_index'>,
  points: readonly Point[],
): Promise<void> {
  const rows = [...new Map(points.map((point) => [point.point, point])).values()]
  await tx.deleteFrom('points').where('job_id', '=', job_id).where('shard_index', '=', shard_index).execute()
  if (rows.length === 0) return
  await sql`
    insert into points (project_id, job_id, shard_index, point, objective, parameters, metrics)
    select ${project_id}, ${job_id}, ${shard_index}, point, objective, parameters, metrics
    from json_to_recordset(${JSON.stringify(rows)}::json)
      as given(point bigint, objective double precision, parameters json, metrics json)
    on conflict (job_id, point) do nothing`.execute(tx)
}

/** The same while the shard runs: what was reported at its end stays. */
export async function writePartialPoints(
  { db }: Pick<Deps, 'db'>,
  attempt: Pick<AttemptRow, 'id' | 'project_id' | 'job_id' | 'shard_id' | 'shard_index'>,
  points: readonly Point[],
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    // The lock of the report of its end, which this one may cross.
    await tx.selectFrom('shards').select('id').where('id', '=', attempt.shard_id).forNoKeyUpdate().execute()
    const open = await tx
      .selectFrom('attempts')
      .select('id')
      .where('id', '=', attempt.id)
      .where('outcome', 'is', null)
      .where('finished_version', 'is', null)
      .executeTakeFirst()
    if (open) await writePoints(tx, attempt, points)
  })
}

export interface PointView {
  point: number
  shard: number
  objective: number | null
  parameters: JsonObject
  metrics: JsonObject
}

/** `-objective`: best first. Points without an objective come last either way. */
export const pointOrders = ['-objective', 'objective', 'point'] as const
type PointOrder = (typeof pointOrders)[number]

/** The points that are known of a job, by keyset. Throws AppError invalid_cursor. */
export async function listPoints(
  deps: Deps,
  job_id: string,
  query: { sort: PointOrder; limit: number; cursor?: string | undefined },
): Promise<{ items: PointView[]; next_cursor: string | null }> {
  const after = query.cursor === undefined ? null : parseCursor(query.cursor)
  const order = orders[query.sort]
  const found = await deps.db
    .selectFrom('points')
    .select(['point', 'shard_index as shard', 'objective', 'parameters', 'metrics'])
    .where('job_id', '=', job_id)
    .$if(after !== null, (rows) => rows.where(order.after(after as Cursor)))
    .orderBy(order.by)
    .limit(query.limit + 1)
    .execute()
  const items = found.slice(0, query.limit)
  const last = items.at(-1)
  return {
    items: items.map((item) => ({
      ...item,
      parameters: item.parameters as JsonObject,
      metrics: item.metrics as JsonObject,
    })),
    next_cursor: found.length > query.limit && last ? cursorOf(last) : null,
  }
}

interface Cursor {
  objective: number | null
  point: number
}

const orders = {
  '-objective': {
    by: sql`objective desc nulls last, point`,
    after: ({ objective, point }: Cursor) =>
      objective === null
        ? sql<boolean>`objective is null and point > ${point}`
        : sql<boolean>`(objective < ${objective} or objective is null or (objective = ${objective} and point > ${point}))`,
  },
  objective: {
    by: sql`objective asc nulls last, point`,
    after: ({ objective, point }: Cursor) =>
      objective === null
        ? sql<boolean>`objective is null and point > ${point}`
        : sql<boolean>`(objective > ${objective} or objective is null or (objective = ${objective} and point > ${point}))`,
  },
  point: { by: sql`point`, after: ({ point }: Cursor) => sql<boolean>`point > ${point}` },
} as const

const cursorOf = ({ objective, point }: Cursor) =>
  Buffer.from(JSON.stringify([objective, point])).toString('base64url')

const cursorForm = z.tuple([z.number().nullable(), z.int().min(0)])

function parseCursor(text: string): Cursor {
  try {
    const [objective, point] = cursorForm.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    return { objective, point }
  } catch (cause) {
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.', { cause })
  }
}
