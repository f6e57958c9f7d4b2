// People of a world, who have logged in.
import type { Role } from '../../jobs/keys.ts'
import { logIn } from '../../jobs/users.ts'
import type { World } from './world.ts'

export const password = 'correct horse battery'

export interface Person {
  id: string
  email: string
  session_id: string
  /** As a bearer token or a cookie. */
  secret: string
}

/** A user with a session, who belongs to a project. */
export async function person(
  world: World,
  name: string,
  belongs: { project_id: string; role: Role } | null,
): Promise<Person> {
  const { deps } = world
  const email = `${name.toLowerCase()}@example.com`
  const id = await deps.identity.signUp({ email, name, password })
  if (id === null) throw new Error(`there is a ${email} already`)
  await deps.db.updateTable('users').set({ email_verified: true }).where('id', '=', id).execute()
  const created_at = deps.clock.now()
  if (belongs)
    await deps.db
      .insertInto('project_members')
      .values({ ...belongs, user_id: id, created_at })
      .execute()
  return { id, email, ...(await another(world, email)) }
}

/** Another session of somebody. */
export async function another({ deps }: World, email: string) {
  const where = { address: null, user_agent: 'test' }
  const { session_id, secret } = await logIn(deps, { email, password, as: 'cookie' }, where)
  return { session_id, secret }
}
