// What a runner may report (docs/contracts.md §6).
import { z } from 'zod'
import { maxPartialPoints, maxPoints, reportedPoints } from './points.ts'
import { errorCodes } from './state.ts'

const figure = z.number().nullable()
const machine = z
  .object({
    cpu: figure.optional(),
    memory: figure.optional(),
    gpus: z
      .array(
        z.object({
          utilization: figure.optional(),
          memory_used_gib: figure.optional(),
          temperature_c: figure.optional(),
          power_w: figure.optional(),
        }),
      )
      .max(64)
      .optional(),
  })
  .catchall(z.unknown())
const artifact = z.object({
  name: z.string().max(255),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

export const report = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('started'),
      instance: z.string().min(1).max(100),
      host: z.unknown().optional(),
    }),
    z.object({
      type: z.literal('heartbeat'),
      progress: z.number().min(0).max(1).nullable().optional(),
      phase: z.string().max(64).nullable().optional(),
      step: figure.optional(),
      steps: figure.optional(),
      metrics: z.record(z.string().max(64), z.unknown()).optional(),
      machine: machine.nullable().optional(),
      points: reportedPoints(maxPartialPoints).optional(),
    }),
    z.object({ type: z.literal('preempting'), at: z.string().max(64).optional() }),
    z.object({ type: z.literal('checkpoint'), ...artifact.shape }),
    z.object({
      type: z.literal('finished'),
      exit_code: z.int().min(-2_147_483_648).max(2_147_483_647).nullable(),
      failure: z.enum(errorCodes).nullable(),
      error: z
        .object({ message: z.string().max(8_192), hint: z.string().max(2_048).nullable().optional() })
        .catchall(z.unknown())
        .nullable()
        .optional(),
      result: z.unknown().optional(),
      points: reportedPoints(maxPoints).optional(),
      artifacts: z.array(artifact).max(1_000).optional(),
    }),
  ])
  .meta({ id: 'Report' })
export type Report = z.infer<typeof report>
export type Heartbeat = Extract<Report, { type: 'heartbeat' }>
