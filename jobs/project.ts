// The project that a key belongs to.
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import type { Database } from './store/schema.ts'

export const projectPatch = z
  .strictObject({
    name: z.string().min(1).max(200).optional(),
    weight: z
      .number()
      .min(0.001)
      .max(1_000)
      .optional()
      .meta({ description: 'Share of what is launched while several projects wait; 1 unless said.' }),
  })
  .meta({ id: 'ProjectPatch' })

export interface ProjectView {
  id: string
  name: string
  weight: number
  created_at: string
}

/** Changes what is given; a weight holds from the next launch on. */
export async function changeProject(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  project_id: string,
  { name, weight }: z.output<typeof projectPatch>,
): Promise<ProjectView> {
  const values = { ...(name === undefined ? {} : { name }), ...(weight === undefined ? {} : { weight }) }
  if (Object.keys(values).length === 0) return readProject({ db }, project_id)
  return db.transaction().execute(async (tx) => {
    const before = await readProject({ db: tx }, project_id)
    await tx.updateTable('projects').set(values).where('id', '=', project_id).execute()
    const was = { name: before.name, weight: before.weight }
    const change = { project_id, action: 'project.changed', subject: project_id, before: was, after: values }
    await audit({ db: tx, clock }, actor, change)
    return readProject({ db: tx }, project_id)
  })
}

export async function readProject({ db }: { db: Database }, project_id: string): Promise<ProjectView> {
  const row = await db
    .selectFrom('projects')
    .select(['id', 'name', 'weight', 'created_at'])
    .where('id', '=', project_id)
    .executeTakeFirstOrThrow()
  return { ...row, created_at: row.created_at.toISOString() }
}
