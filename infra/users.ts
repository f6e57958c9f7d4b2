// People, from the server's machine: node infra/users.ts list | create EMAIL NAME | reset EMAIL
import type { Actor } from '../jobs/audit.ts'
import { audit } from '../jobs/audit.ts'
import { email as emailOf } from '../jobs/invitations.ts'
import { linkTo } from '../jobs/mails.ts'
import { addByOperator, userBy } from '../jobs/users.ts'
import { type Config, loadConfig } from './config.ts'
import { checkSecretKey, ensureInstallation, ensureKeys } from './first-start.ts'
import { createIdentity } from './identity.ts'
import { type OfflineDeps, runOffline, withDatabase } from './offline.ts'
import { loadOtherKey, loadSecretKey, openSealer } from './secrets.ts'

const actor: Actor = { by: 'command', id: null, address: null, request_id: null }
/** More are listed by the database itself. */
const mostListed = 1_000
/** Longer ones are no names. */
const maxName = 200

/** Answers what is printed. Throws with a message that says what to do. */
export async function main(config: Config, [command, to = '', name = '']: string[]): Promise<string> {
  return withDatabase(config, async (deps) => {
    if (command === 'list') return list(deps)
    const parsed = emailOf.safeParse(to)
    if (!parsed.success) throw new Error('the address is not one of mail')
    const secret_key = loadOtherKey(config) ?? loadSecretKey(config)
    const sealer = openSealer(config)
    const installation = await ensureInstallation({ ...deps, sealer })
    await checkSecretKey({ ...deps, sealer })
    const keys = await ensureKeys({ ...deps, sealer }, secret_key)
    const given = { ...deps, key: keys.identity, installation, verifies_email: false, log: () => undefined }
    const identity = createIdentity(given)
    const user_id =
      command === 'create'
        ? await create(deps, identity, { email: parsed.data, name })
        : await find(deps, parsed.data)
    const host = config.public_url ?? `http://${config.host}:${config.port}`
    return linkTo(host, 'reset-password', await identity.resetSecret(user_id))
  })
}

/** Of an operator's project; nobody knows the password that it has until the link is opened. */
async function create(
  deps: OfflineDeps,
  identity: ReturnType<typeof createIdentity>,
  { email, name }: { email: string; name: string },
): Promise<string> {
  if (name.trim() === '' || name.length > maxName || name.includes('\0'))
    throw new Error(`the name must have 1 to ${maxName} characters`)
  const password = Buffer.from(deps.random(32)).toString('base64url')
  const id = await identity.signUp({ email, name: name.trim(), password })
  if (id === null) throw new Error(`there is a user ${email} already: berth admin users reset`)
  await deps.db.updateTable('users').set({ email_verified: true }).where('id', '=', id).execute()
  const { id: project_id } = await deps.db
    .selectFrom('projects')
    .select('id')
    .where('is_operator', '=', true)
    .orderBy('id')
    .executeTakeFirstOrThrow()
  await addByOperator(deps, actor, project_id, id)
  return id
}

async function find(deps: OfflineDeps, email: string): Promise<string> {
  const user = await userBy(deps.db, 'email', email)
  if (!user) throw new Error(`there is no user ${email}`)
  await audit(deps, actor, { project_id: null, action: 'password.link_made', subject: user.id })
  return user.id
}

async function list({ db }: OfflineDeps): Promise<string> {
  const rows = await db
    .selectFrom('users')
    .select(['id', 'email', 'name', 'created_at'])
    .orderBy('id')
    .limit(mostListed)
    .execute()
  return JSON.stringify(rows.map((row) => ({ ...row, created_at: row.created_at.toISOString() })))
}

if (import.meta.main) await runOffline(() => main(loadConfig(), process.argv.slice(2)))
