// What an administrator rules for all jobs of a project, and no job overrides.
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import type { JobSpec } from './spec.ts'
import { countChange } from './store/count-change.ts'
import type { Database } from './store/schema.ts'

const names = z.array(z.string().min(1).max(200)).min(1).max(200)

export const policyRequest = z
  .strictObject({
    providers: names.optional(),
    regions: names.optional(),
    spot: z.enum(['never', 'allow', 'only']).optional(),
    max_usd_per_hour: z.number().positive().max(1_000_000).optional(),
    images: names
      .optional()
      .meta({ description: 'Prefixes of images that custom jobs may run, like "ghcr.io/desk/".' }),
  })
  .meta({ id: 'Policy', description: 'What is left out is not bounded.' })
export type Policy = z.infer<typeof policyRequest>

/** Whether a policy lets a job run its image; those of Berth's own kinds are the installation's. */
export function allowsImage(policy: Policy | null, spec: JobSpec): boolean {
  if (spec.kind !== 'custom' || !policy?.images) return true
  return policy.images.some((prefix) => spec.params.image.startsWith(prefix))
}

/** Policies of the projects that have one. */
export async function readPolicies(
  db: Database,
  project_ids: readonly string[],
): Promise<Map<string, Policy>> {
  if (project_ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('policies')
    .select(['project_id', 'policy'])
    .where('project_id', 'in', [...project_ids])
    .execute()
  return new Map(rows.map(({ project_id, policy }) => [project_id, policy]))
}

/** Replaces a project's policy whole. It holds for what is launched from now on. */
export async function putPolicy(
  deps: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  project_id: string,
  policy: Policy,
): Promise<Policy> {
  const updated_at = deps.clock.now()
  const values = { policy: JSON.stringify(policy), updated_at }
  await deps.db.transaction().execute(async (tx) => {
    const before = (await readPolicies(tx, [project_id])).get(project_id) ?? null
    await countChange(tx)
    await tx
      .insertInto('policies')
      .values({ project_id, ...values })
      .onConflict((conflict) => conflict.column('project_id').doUpdateSet(values))
      .execute()
    const change = { project_id, action: 'policy.put', subject: project_id, before, after: policy }
    await audit({ ...deps, db: tx }, actor, change)
  })
  return policy
}
