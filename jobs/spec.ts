// What a user asks for. Parsed once at the edge, stored whole with its defaults, immutable from then on.
import { z } from 'zod'
import { backtestParams } from './kinds/backtest.ts'
import { customParams } from './kinds/custom.ts'
import { trainingParams } from './kinds/training.ts'
import { jobEventTypes, priorities, type Priority } from './state.ts'

/** Longest try of one attempt: a week. A longer job should checkpoint and be resumed. */
const maxTimeout_s = 7 * 86_400
const maxQueueTimeout_s = 30 * 86_400

const name = z.string().min(1).max(200)
const usd = z.number().positive().max(1_000_000)

const resources = z
  .strictObject({
    device: z
      .string()
      .regex(/^(auto|cpu|cuda|cuda:\d{1,3})$/, 'must be "auto", "cpu", "cuda" or "cuda:N"')
      .default('auto'),
    gpu: z
      .strictObject({
        models: z.array(z.string().min(1).max(64)).min(1).max(50).optional(),
        count: z.int().min(1).max(16).default(1),
        memory_gib: z.number().positive().max(1_024).optional(),
        compute_capability: z
          .string()
          .regex(/^\d{1,2}\.\d$/, 'must look like "8.0"')
          .optional(),
      })
      .nullable()
      .default(null),
    cpu: z.number().positive().max(1_024).default(2),
    memory_gib: z.number().positive().max(24_576).default(4),
    disk_gib: z.number().positive().max(65_536).default(20),
  })
  .prefault({})
  .meta({ id: 'Resources' })

const placement = z
  .strictObject({
    providers: z.array(name).min(1).max(20).optional(),
    regions: z.array(name).min(1).max(100).optional(),
    spot: z.enum(['never', 'allow', 'only']).default('never'),
    max_usd_per_hour: usd.optional(),
    optimize: z.enum(['cost', 'speed']).default('cost'),
  })
  .prefault({})

/** Whether it may be called is another question: targets are checked before they are stored. */
export const webhookUrl = z.url({ protocol: /^https?$/, error: 'must be an https:// address' }).max(2_000)

const webhook = z.strictObject({
  url: webhookUrl,
  events: z
    .array(z.enum(jobEventTypes))
    .min(1)
    .max(jobEventTypes.length)
    .default(['job.succeeded', 'job.failed', 'job.cancelled']),
})

const common = {
  name: name.optional(),
  resources,
  parallelism: z
    .strictObject({
      max_shards: z.int().min(1).max(64).optional(),
      on_shard_failure: z.enum(['fail', 'continue']).default('fail'),
    })
    .prefault({}),
  placement,
  retry: z.strictObject({ max_attempts: z.int().min(1).max(10).default(3) }).prefault({}),
  timeout_s: z.int().min(1).max(maxTimeout_s).default(7_200),
  queue_timeout_s: z.int().min(1).max(maxQueueTimeout_s).default(86_400),
  deadline_at: z.iso.datetime({ offset: true }).nullable().default(null),
  priority: z.enum(priorities).optional(),
  budget_usd: usd.optional(),
  cache: z.boolean().default(true),
  strict: z.boolean().default(false),
  labels: z
    .record(z.string().min(1).max(63), z.string().max(255))
    .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels')
    .default({}),
  webhook: webhook.optional(),
}

export const jobSpec = z
  .discriminatedUnion(
    'kind',
    [
      z.strictObject({ kind: z.literal('backtest'), params: backtestParams, ...common }),
      z.strictObject({ kind: z.literal('training'), params: trainingParams, ...common }),
      z.strictObject({ kind: z.literal('custom'), params: customParams, ...common }),
    ],
    { error: 'must be "backtest", "training" or "custom"' },
  )
  .meta({ id: 'JobSpec', description: 'What to run, on what, within which bounds.' })

/** Every kind of job there is. */
export const kinds: readonly string[] = jobSpec.options.map(({ shape }) => shape.kind.value)

/** As it is stored: every default filled in. */
export type JobSpec = z.output<typeof jobSpec>
export type Resources = JobSpec['resources']
export type Placement = JobSpec['placement']

/** Training waits for the rare large GPU, and its models are waited for. */
const priorityByKind: Readonly<Record<string, Priority>> = { training: 'high' }

/** What the spec says, else what is usual for its kind. */
export function priorityOf({ kind, priority }: Pick<JobSpec, 'priority'> & { kind: string }): Priority {
  return priority ?? priorityByKind[kind] ?? 'normal'
}
