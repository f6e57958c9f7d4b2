// A project's end: its people and keys are shut out at once, its work is cancelled, and jobs/purge-project.ts removes the rest.
import { type Actor, audit } from './audit.ts'
import { type Deps, topics } from './deps.ts'
import { AppError } from './errors.ts'
import { cancelJobs } from './orders.ts'

/** Counted for the message: whether there are a thousand or more makes no difference. */
const mostCounted = 1_000

export interface Deletion {
  id: string
  deleted_at: string
  /** Jobs that were at work, and have been told to end. */
  cancelled: number
}

/**
 * Nobody gets into the project from then on. While jobs have not ended it is refused unless they are to be cancelled. Throws AppError
 * not_found, forbidden, jobs_at_work.
 */
export async function deleteProject(
  deps: Deps,
  actor: Actor,
  { id, cancel_jobs }: { id: string; cancel_jobs: boolean },
): Promise<Deletion> {
  const deleted_at = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const project = await tx
      .selectFrom('projects')
      .select(['name', 'is_operator', 'deleted_at'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (!project || project.deleted_at !== null)
      throw new AppError('not_found', `There is no project ${id.slice(0, 100)}.`)
    if (project.is_operator)
      throw new AppError('forbidden', 'This project runs the installation: it cannot be deleted.')
    const open = await tx
      .selectFrom('jobs')
      .select('id')
      .where('project_id', '=', id)
      .where('finished_at', 'is', null)
      .limit(mostCounted)
      .execute()
    if (open.length > 0 && !cancel_jobs)
      throw new AppError(
        'jobs_at_work',
        `${open.length}${open.length === mostCounted ? ' or more' : ''} jobs have not ended: wait for them, or delete with cancel_jobs=true.`,
      )
    await tx.updateTable('projects').set({ deleted_at }).where('id', '=', id).execute()
    await tx
      .updateTable('api_keys')
      .set({ revoked_at: deleted_at })
      .where('project_id', '=', id)
      .where('revoked_at', 'is', null)
      .execute()
    await tx.deleteFrom('project_members').where('project_id', '=', id).execute()
    await tx.deleteFrom('invitations').where('project_id', '=', id).execute()
    const change = { project_id: id, action: 'project.deleted', subject: id, before: { name: project.name } }
    await audit({ ...deps, db: tx }, actor, change)
  })
  // Those that this leaves, and any that was being submitted, the background cancels.
  const { cancelled } = await cancelJobs(deps, id, { states: null }, undefined)
  deps.waker.wake(topics.pass)
  return { id, deleted_at: deleted_at.toISOString(), cancelled }
}
