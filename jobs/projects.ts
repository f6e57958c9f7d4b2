// Projects of people: made, listed, and who belongs to them.
import { z } from 'zod'
import type { Selectable } from 'kysely'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import type { Caller, Role } from './keys.ts'
import type { Database, Tables } from './store/schema.ts'
import { secretContext } from './webhooks.ts'

/** That one user owns: each has jobs, keys and limits of its own. */
const maxOwned = 50

export const projectRequest = z
  .strictObject({ name: z.string().trim().min(1).max(200) })
  .meta({ id: 'ProjectRequest' })

export interface Membership {
  id: string
  name: string
  role: Role
  /** Whether its admins run the installation. */
  is_operator: boolean
  created_at: string
}

/** Inserts a project; whoever belongs to it is for the caller to say. */
export async function insertProject(
  { db, clock, random, sealer }: Pick<Deps, 'db' | 'clock' | 'random' | 'sealer'>,
  { name, is_operator }: { name: string; is_operator: boolean },
): Promise<Selectable<Tables['projects']>> {
  const created_at = clock.now()
  const id = newId('prj', created_at, random)
  const secret = `whsec_${Buffer.from(random(32)).toString('base64')}`
  const webhook_secret_sealed = sealer.seal(secret, secretContext(id))
  return db
    .insertInto('projects')
    .values({ id, name, webhook_secret_sealed, is_operator, created_at })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Makes a project that its maker owns. Where registration is not open it is for operators. Throws AppError forbidden, invalid_request. */
export async function createProject(
  deps: Deps,
  actor: Actor,
  { user_id, name }: { user_id: string; name: string },
): Promise<Membership> {
  return deps.db.transaction().execute(async (tx) => {
    // Two that come at once must not both find the last room.
    await tx.selectFrom('users').select('id').where('id', '=', user_id).forUpdate().executeTakeFirst()
    const own = await membershipsOf(tx, user_id)
    if (deps.settings.registration !== 'open' && !own.some(isOperator))
      throw new AppError(
        'forbidden',
        'Here operators alone make projects: ask one to invite you to a new one.',
      )
    if (own.filter(({ role }) => role === 'owner').length >= maxOwned)
      throw new AppError('invalid_request', `You own ${maxOwned} projects already.`)
    const project = await insertProject({ ...deps, db: tx }, { name, is_operator: false })
    const member = { project_id: project.id, user_id, role: 'owner' as const, created_at: project.created_at }
    await tx.insertInto('project_members').values(member).execute()
    const change = { project_id: project.id, action: 'project.created', subject: project.id, after: { name } }
    await audit({ ...deps, db: tx }, actor, change)
    return viewOf({ ...project, role: 'owner' })
  })
}

/** What somebody belongs to, the one first that they speak for unless they name another. A key belongs to its own project alone. */
export async function projectsOf({ db }: Pick<Deps, 'db'>, caller: Caller): Promise<Membership[]> {
  if (caller.by === 'user') return membershipsOf(db, caller.id)
  const project = await db
    .selectFrom('projects')
    .selectAll()
    .where('id', '=', caller.project_id)
    .executeTakeFirstOrThrow()
  return [viewOf({ ...project, role: caller.role })]
}

/** Of one user: as many as there are invitations that they accepted, of which this many are shown. */
const maxShown = 1_000

async function membershipsOf(db: Database, user_id: string): Promise<Membership[]> {
  const rows = await db
    .selectFrom('project_members')
    .innerJoin('projects', 'projects.id', 'project_members.project_id')
    .select(['projects.id', 'name', 'role', 'is_operator', 'projects.created_at'])
    .where('user_id', '=', user_id)
    .orderBy('project_members.created_at')
    .orderBy('project_members.project_id')
    .limit(maxShown)
    .execute()
  return rows.map(viewOf)
}

const isOperator = ({ role, is_operator }: Membership) =>
  is_operator && (role === 'admin' || role === 'owner')

const viewOf = (
  row: Pick<Selectable<Tables['projects']>, 'id' | 'name' | 'is_operator' | 'created_at'> & { role: Role },
): Membership => ({
  id: row.id,
  name: row.name,
  role: row.role,
  is_operator: row.is_operator,
  created_at: row.created_at.toISOString(),
})
