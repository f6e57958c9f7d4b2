import { z } from 'zod'
import { pricesAt, shape, text, user, vendor } from './common.ts'

const arn = z
  .string()
  .regex(/^arn:[\w-]+:[\w-]+:[^\s]{1,500}$/, 'must be an ARN, like arn:aws:iam::123456789012:role/work')

export const aws = vendor({
  settings: z.strictObject({
    region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region, like us-east-1'),
    shapes: z
      .array(z.strictObject({ ...shape.shape, queue: text }))
      .min(1)
      .max(100),
    prices_at: pricesAt,
    job_role: arn.nullable().default(null),
    execution_role: arn.nullable().default(null),
    registry_secrets: z.record(z.string().max(255), arn).default({}),
    user,
  }),
  credentials: z
    .strictObject({
      access_key_id: text.optional(),
      secret_access_key: text.optional(),
      session_token: z.string().min(1).max(10_000).optional(),
    })
    .refine(
      ({ access_key_id, secret_access_key, session_token }) =>
        access_key_id === undefined ? !secret_access_key && !session_token : secret_access_key !== undefined,
      'must be access_key_id and secret_access_key (and session_token), or nothing where the SDK finds a role',
    ),
  remote: true,
  async open({ account, settings, credentials, installation, clock }) {
    const { createAwsProvider } = await import('../../providers/aws/aws.ts')
    const { access_key_id, secret_access_key, session_token } = credentials
    const key =
      access_key_id !== undefined && secret_access_key !== undefined
        ? { access_key_id, secret_access_key, session_token }
        : null
    return createAwsProvider({ account, installation, clock, ...settings, credentials: key })
  },
})
