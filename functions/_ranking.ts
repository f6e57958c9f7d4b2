// The shape of a ranking of offers, in estimates and explanations.
import { z } from '@hono/zod-openapi'
import { type RejectionReason, rejections } from '../jobs/place.ts'

const reasons = Object.keys(rejections) as [RejectionReason, ...RejectionReason[]]

export const rankingShape = {
  offers: z
    .array(
      z
        .object({
          provider: z.string(),
          account: z.string(),
          region: z.string(),
          offer: z.string(),
          spot: z.boolean(),
          usd_per_hour: z.number(),
          expected_duration_s: z.number().nullable().meta({ description: 'null: nobody can tell.' }),
          expected_usd: z.number().nullable(),
          basis: z.enum(['history', 'model']).nullable(),
        })
        .meta({ id: 'RankedOffer' }),
    )
    .meta({ description: 'Best first, at most 20.' }),
  rejected: z.array(
    z
      .object({ reason: z.enum(reasons), text: z.string(), count: z.int(), examples: z.array(z.string()) })
      .meta({ id: 'RejectedOffers' }),
  ),
}
