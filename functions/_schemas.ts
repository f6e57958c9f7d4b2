// The shapes of answers, once, for the document and for the types of handlers.
import { z } from '@hono/zod-openapi'
import type { Json } from '../jobs/view.ts'
import { attemptStates, errorCodes, errorPlaces, jobStates, outcomes, priorities } from '../jobs/state.ts'

const at = z.iso.datetime().meta({ example: '2026-01-31T12:00:00.000Z' })
const count = z.int().min(0)
/** Any JSON: z.json() is recursive, which the document cannot say. */
export const anyJson = z.unknown() as z.ZodType<Json>
const json = z.record(z.string(), anyJson)

export const attemptSchema = z
  .object({
    id: z.string(),
    number: count,
    shard: count,
    state: z.enum(attemptStates),
    provider: z.string(),
    account: z.string(),
    region: z.string(),
    offer: z.string(),
    device: z.string().nullable(),
    spot: z.boolean(),
    usd_per_hour: z.number(),
    created_at: at,
    started_at: at.nullable(),
    ended_at: at.nullable(),
    outcome: z.enum(outcomes).nullable(),
    exit_code: z.int().nullable(),
  })
  .meta({ id: 'Attempt' })

export const jobSchema = z
  .object({
    id: z.string().meta({ example: 'job_01jd3m4k5nep7r8r9s0t1v2w3x' }),
    kind: z.string(),
    name: z.string().nullable(),
    state: z.enum(jobStates),
    progress: z.number().min(0).max(1),
    phase: z.string().nullable(),
    priority: z.enum(priorities),
    created_at: at,
    started_at: at.nullable(),
    finished_at: at.nullable(),
    outcome: z.enum(outcomes).nullable(),
    error: z
      .object({
        code: z.enum(errorCodes),
        message: z.string(),
        where: z.enum(errorPlaces),
        exit_code: z.int().nullable(),
        hint: z.string().nullable(),
        log_tail: z.string().nullable(),
      })
      .nullable(),
    warnings: z.array(z.object({ code: z.string(), message: z.string() })),
    shards: z.object({ total: count, waiting: count, active: count, succeeded: count, failed: count }),
    attempts: z.array(attemptSchema).meta({ description: 'The newest; all of them at /attempts.' }),
    cost: z.object({
      estimated_usd: z.number().nullable(),
      actual_usd: z.number().meta({ description: 'Up to now; rounded up to six decimals.' }),
      final: z.boolean().meta({ description: 'Whether it can still change.' }),
      basis: z.enum(['billed', 'modelled']),
    }),
    result: anyJson.meta({ description: 'The program’s result.json; in lists null when over 4 KiB.' }),
    labels: z.record(z.string(), z.string()),
    cached_from: z.string().nullable(),
    params: json,
    resources: json,
    links: z.object({ self: z.string(), result: z.string(), artifacts: z.string(), logs: z.string() }),
  })
  .meta({ id: 'Job' })

export const eventSchema = z
  .object({ sequence: count, type: z.string(), at, data: json })
  .meta({ id: 'Event' })

export const feedEventSchema = z
  .object({
    id: z
      .string()
      .meta({ example: '0-1831-4207', description: 'Its place in the feed: what `after` takes.' }),
    job_id: z.string().nullable(),
    sequence: count.meta({ description: 'Of its job, or of what it tells of.' }),
    type: z.string(),
    at,
    data: json,
  })
  .meta({ id: 'FeedEvent' })

export const logSchema = z
  .object({
    shard: count,
    attempt: count,
    number: count,
    at,
    stream: z.enum(['stdout', 'stderr', 'runner']),
    text: z.string(),
  })
  .meta({ id: 'LogLine' })

export const artifactSchema = z
  .object({ name: z.string(), bytes: count, sha256: z.string(), content_type: z.string(), url: z.string() })
  .meta({ id: 'Artifact' })

export const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next_cursor: z.string().nullable() })

/** The id of what a path names. */
export const idParam = z.object({
  id: z
    .string()
    .max(64)
    .meta({ param: { name: 'id', in: 'path' } }),
})

// PostgreSQL has no text with NUL.
export const text = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => !value.includes('\0'), 'holds a NUL character')
const time = z.iso.datetime({ offset: true }).optional()

/** What jobs are listed and cancelled by. */
export const jobFilter = {
  state: z.enum(jobStates).optional(),
  kind: text(64).optional(),
  label: text(320).optional().meta({ description: '`name:value`' }),
  provider: text(64).optional(),
  created_after: time,
  created_before: time,
}
export const jobCursor = text(64).optional()

/** `limit` of a list: 100 unless asked, at most 500. */
export const limit = z.coerce.number().int().min(1).max(500).default(100)

/** A JSON answer of a route. */
export const json200 = <Schema extends z.ZodType>(schema: Schema, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

export const idempotencyHeader = z.object({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .optional()
    .meta({ description: 'The same key and body within 24 h answer with what they made before.' }),
})

/** A body of bytes. */
export const octetBody = {
  content: { 'application/octet-stream': { schema: z.string().meta({ format: 'binary' }) } },
}

/** An answer of bytes. */
export const octets = (description: string) => ({ description, ...octetBody })
