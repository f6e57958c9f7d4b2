// Secrets of a project by name: written by an admin, opened for the runner of a job that names them, shown to nobody.
import { sql } from 'kysely'
import { z } from 'zod'
import type { LaunchSecrets } from '../providers/provider.ts'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError, type FieldError } from './errors.ts'
import { variable } from './kinds/custom.ts'
import { maskFor } from './mask.ts'
import type { AttemptRow, JobRow } from './plan.ts'
import type { JobSpec } from './spec.ts'
import type { Database } from './store/schema.ts'

/** Of a project: more would be a store of its own. */
const maxSecrets = 200
/** A key file or a certificate chain; an environment has no room for much more. */
const maxValue = 32 * 1024
export const secretName = variable
const line = z
  .string()
  .min(1)
  .max(1_024)
  .regex(/^[^\r\n]*$/, 'must be one line')

export const secretRequest = z
  .union([
    z.strictObject({
      value: z.string().min(1).max(maxValue),
    }),
    z.strictObject({
      registry: z.strictObject({ server: line, username: line, password: line }),
    }),
  ])
  .meta({
    id: 'SecretRequest',
    description: 'A variable of the program, or the credential of a registry.',
  })

export interface SecretView {
  name: string
  type: 'value' | 'registry'
  created_at: string
  updated_at: string
}

/** Makes a secret or replaces its value; attempts that run keep what they got. Throws AppError invalid_request. */
export async function putSecret(
  deps: Deps,
  actor: Actor,
  project_id: string,
  name: string,
  request: z.output<typeof secretRequest>,
): Promise<SecretView> {
  const now = deps.clock.now()
  const [type, plain] =
    'value' in request
      ? (['value', request.value] as const)
      : (['registry', JSON.stringify(request.registry)] as const)
  const sealed = deps.sealer.seal(plain, contextOf(project_id, name))
  return deps.db.transaction().execute(async (tx) => {
    // Two that come at once must not both find the last room.
    await tx.selectFrom('projects').select('id').where('id', '=', project_id).forNoKeyUpdate().execute()
    const { count } = await tx
      .selectFrom('secrets')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('project_id', '=', project_id)
      .where('name', '!=', name)
      .executeTakeFirstOrThrow()
    if (Number(count) >= maxSecrets)
      throw new AppError('invalid_request', `A project has at most ${maxSecrets} secrets: delete one.`)
    const row = await tx
      .insertInto('secrets')
      .values({ project_id, name, type, sealed, created_at: now, updated_at: now })
      .onConflict((conflict) =>
        conflict.columns(['project_id', 'name']).doUpdateSet({ type, sealed, updated_at: now }),
      )
      .returning(['name', 'type', 'created_at', 'updated_at'])
      .executeTakeFirstOrThrow()
    // That it was written, and never what.
    await audit({ ...deps, db: tx }, actor, {
      project_id,
      action: 'secret.put',
      subject: name,
      after: { type },
    })
    return viewOf(row)
  })
}

/** Names alone. */
export async function listSecrets({ db }: Pick<Deps, 'db'>, project_id: string): Promise<SecretView[]> {
  const rows = await db
    .selectFrom('secrets')
    .select(['name', 'type', 'created_at', 'updated_at'])
    .where('project_id', '=', project_id)
    .orderBy('name')
    .execute()
  return rows.map(viewOf)
}

/** Throws AppError not_found. */
export async function deleteSecret(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  project_id: string,
  name: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { numDeletedRows } = await tx
      .deleteFrom('secrets')
      .where('project_id', '=', project_id)
      .where('name', '=', name)
      .executeTakeFirst()
    if (numDeletedRows === 0n) throw new AppError('not_found', `There is no secret ${name.slice(0, 64)}.`)
    await audit({ db: tx, clock }, actor, { project_id, action: 'secret.deleted', subject: name })
  })
}

/** Types of secrets by `project/name`. */
export type KnownSecrets = ReadonlyMap<string, 'value' | 'registry'>

/** Those that specs name, of all their projects with one query. */
export async function knownSecrets(
  db: Database,
  wanted: readonly { project_id: string; spec: JobSpec }[],
): Promise<KnownSecrets> {
  const projects = new Set(wanted.flatMap((each) => (namesOf(each.spec).length > 0 ? [each.project_id] : [])))
  if (projects.size === 0) return new Map()
  const rows = await db
    .selectFrom('secrets')
    .select(['project_id', 'name', 'type'])
    .where(sql<boolean>`project_id = any(${[...projects]}::text[])`)
    .execute()
  return new Map(rows.map(({ project_id, name, type }) => [`${project_id}/${name}`, type]))
}

/** Refuses a spec that names a secret which is not there. Throws AppError invalid_request. */
export function checkSecrets(project_id: string, spec: JobSpec, known: KnownSecrets): void {
  const errors: FieldError[] = namesOf(spec).flatMap(({ name, path, type }) => {
    const found = known.get(`${project_id}/${name}`)
    if (found === type) return []
    const message =
      found === undefined
        ? `there is no secret ${name}: PUT /v1/secrets/${name} makes it`
        : `${name} is a secret of the type ${found}, and this needs one of the type ${type}`
    return [{ path, message }]
  })
  const [first] = errors
  if (first) throw new AppError('invalid_request', `${first.path}: ${first.message}.`, { errors })
}

function namesOf(spec: JobSpec): { name: string; path: string; type: 'value' | 'registry' }[] {
  if (spec.kind !== 'custom') return []
  const { secrets, registry } = spec.params
  return [
    ...secrets.map((name, index) => ({ name, path: `params.secrets.${index}`, type: 'value' as const })),
    ...(registry === null ? [] : [{ name: registry, path: 'params.registry', type: 'registry' as const }]),
  ]
}

/** The secrets of a job as variables. Throws AppError invalid_request where one was deleted meanwhile. */
export async function openSecrets(
  deps: Pick<Deps, 'db' | 'sealer'>,
  project_id: string,
  names: readonly string[],
): Promise<Record<string, string>> {
  const rows = await sealedOf(deps.db, project_id, names)
  const missing = names.find((name) => !rows.some((row) => row.name === name && row.type === 'value'))
  if (missing !== undefined)
    throw new AppError('invalid_request', `The secret ${missing} was deleted after the job was submitted.`)
  return Object.fromEntries(
    rows.map(({ name, sealed }) => [name, deps.sealer.open(sealed, contextOf(project_id, name))]),
  )
}

/** The credential for the image of a job; null: it names none, or it was deleted, which the pull then says. */
export async function registryOf(
  deps: Pick<Deps, 'db' | 'sealer'>,
  { project_id, spec }: Pick<JobRow, 'project_id' | 'spec'>,
): Promise<NonNullable<LaunchSecrets['registry']> | null> {
  if (spec.kind !== 'custom' || spec.params.registry === null) return null
  const [row] = await sealedOf(deps.db, project_id, [spec.params.registry])
  if (row?.type !== 'registry') return null
  const opened: unknown = JSON.parse(deps.sealer.open(row.sealed, contextOf(project_id, row.name)))
  return opened as NonNullable<LaunchSecrets['registry']>
}

/** A mask for what the program of an attempt says: the values of its secrets are replaced. */
export async function maskOf(
  deps: Pick<Deps, 'db' | 'sealer'>,
  { kind, project_id, job_id }: Pick<AttemptRow, 'kind' | 'project_id' | 'job_id'>,
): Promise<(text: string) => string> {
  if (kind !== 'custom') return (text) => text
  const job = await deps.db.selectFrom('jobs').select('spec').where('id', '=', job_id).executeTakeFirst()
  const names = job?.spec.kind === 'custom' ? job.spec.params.secrets : []
  if (names.length === 0) return (text) => text
  const rows = await sealedOf(deps.db, project_id, names)
  const values = rows.map(({ name, sealed }) => deps.sealer.open(sealed, contextOf(project_id, name)))
  return maskFor(values)
}

function sealedOf(db: Database, project_id: string, names: readonly string[]) {
  return db
    .selectFrom('secrets')
    .select(['name', 'type', 'sealed'])
    .where('project_id', '=', project_id)
    .where(sql<boolean>`name = any(${[...names]}::text[])`)
    .execute()
}

/** Binds a sealed value to its row, so that it cannot be moved to another project or name. */
export const contextOf = (project_id: string, name: string) => `secrets.sealed/${project_id}/${name}`

function viewOf(row: {
  name: string
  type: 'value' | 'registry'
  created_at: Date
  updated_at: Date
}): SecretView {
  const { name, type, created_at, updated_at } = row
  return { name, type, created_at: created_at.toISOString(), updated_at: updated_at.toISOString() }
}
