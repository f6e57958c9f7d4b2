// What attempts produce: rows that name objects by content.
import type { Deps } from './deps.ts'
import { ObjectTooLarge } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import type { JobRow } from './plan.ts'
import type { RunnerAttempt } from './report.ts'
import type { Tx } from './store/schema.ts'

/** One artifact; larger results should be several files. */
const maxArtifact_bytes = 64 * 1024 ** 3
/** Files one attempt may leave: a runaway program must not fill the table. */
const maxArtifacts = 1_000
const segment = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/

const contentTypes: Record<string, string> = {
  json: 'application/json',
  html: 'text/html; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  png: 'image/png',
  svg: 'image/svg+xml',
}

/** Whether a name is a relative path that cannot leave its folder. */
export function isArtifactName(name: string): boolean {
  const segments = name.split('/')
  return name.length <= 255 && segments.length <= 8 && segments.every((each) => segment.test(each))
}

/** Stores an uploaded artifact; the same name again replaces it as long as the attempt is not finished. */
export async function storeArtifact(
  deps: Deps,
  attempt: RunnerAttempt,
  name: string,
  body: ReadableStream<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  if (!isArtifactName(name))
    throw new AppError(
      'invalid_request',
      `${JSON.stringify(name)} is not an artifact name: use letters, digits, ".", "_", "-" and "/".`,
    )
  if (attempt.finished_version !== null)
    throw new AppError('attempt_over', `${attempt.id} has reported its end.`)
  const { count } = await deps.db
    .selectFrom('artifacts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('attempt_id', '=', attempt.id)
    .executeTakeFirstOrThrow()
  if (Number(count) >= maxArtifacts)
    throw new AppError('invalid_request', `An attempt keeps at most ${maxArtifacts} artifacts.`)
  // One object a (attempt, name, upload): a reader of the old one is not disturbed by a replacement.
  const object_key = `${attempt.project_id}/${attempt.id}/${newId('art', deps.clock.now(), deps.random)}`
  const stored = await deps.store
    .put(object_key, body, { max_bytes: maxArtifact_bytes })
    .catch((cause: unknown) => {
      if (cause instanceof ObjectTooLarge)
        throw new AppError('body_too_large', `An artifact has at most ${maxArtifact_bytes} bytes.`, { cause })
      throw cause
    })
  const purpose = name.startsWith('checkpoints/') ? ('checkpoint' as const) : ('artifact' as const)
  const file = { ...stored, name, purpose, object_key }
  const unused = await deps.db.transaction().execute((tx) => keep(tx, deps, attempt, file))
  for (const key of unused)
    // A slow first upload may arrive after the second was reported as the checkpoint.
    if (!(await isCheckpoint(deps, attempt.shard_id, key))) await deps.store.delete(key)
  return stored
}

interface File {
  name: string
  purpose: 'artifact' | 'checkpoint'
  bytes: number
  sha256: string
  object_key: string
}

/** Names an uploaded object; answers those that nothing names any more. Equal content is stored once in a project. */
async function keep(tx: Tx, deps: Deps, attempt: RunnerAttempt, file: File): Promise<string[]> {
  const { project_id } = attempt
  // Locked, so that it cannot be purged before it is named here too.
  const same =
    file.purpose === 'artifact' &&
    (await tx
      .selectFrom('artifacts')
      .select('object_key')
      .where('project_id', '=', project_id)
      .where('sha256', '=', file.sha256)
      .where('purpose', '=', 'artifact')
      .limit(1)
      .forShare()
      .executeTakeFirst())
  const before = await tx
    .selectFrom('artifacts')
    .select('object_key')
    .where('attempt_id', '=', attempt.id)
    .where('name', '=', file.name)
    .executeTakeFirst()
  const values = {
    bytes: file.bytes,
    sha256: file.sha256,
    object_key: same ? same.object_key : file.object_key,
    content_type: contentTypeOf(file.name),
    created_at: deps.clock.now(),
  }
  await tx
    .insertInto('artifacts')
    .values({
      id: newId('art', deps.clock.now(), deps.random),
      project_id,
      job_id: attempt.job_id,
      attempt_id: attempt.id,
      shard_id: attempt.shard_id,
      name: file.name,
      purpose: file.purpose,
      ...values,
    })
    .onConflict((conflict) => conflict.columns(['attempt_id', 'name']).doUpdateSet(values))
    .execute()
  return unnamed(tx, [file.object_key, ...(before ? [before.object_key] : [])])
}

/** Of some objects those that no artifact names. */
export async function unnamed(tx: Tx, object_keys: readonly string[]): Promise<string[]> {
  if (object_keys.length === 0) return []
  const rows = await tx
    .selectFrom('artifacts')
    .select('object_key')
    .distinct()
    .where('object_key', 'in', [...object_keys])
    .execute()
  const named = new Set(rows.map(({ object_key }) => object_key))
  return [...new Set(object_keys)].filter((key) => !named.has(key))
}

async function isCheckpoint(deps: Deps, shard_id: string, object_key: string): Promise<boolean> {
  const shard = await deps.db
    .selectFrom('shards')
    .select('checkpoint')
    .where('id', '=', shard_id)
    .executeTakeFirstOrThrow()
  return shard.checkpoint?.object_key === object_key
}

export interface ArtifactView {
  name: string
  bytes: number
  sha256: string
  content_type: string
  url: string
}

/** Of a job that was cut: what a part of it made, beside what the merge made of all of them. */
const shardPath = /^shards\/(\d{1,4})\/(.+)$/s

/** The artifacts of a job: of each name the one of the newest attempt; those of its parts as `shards/<index>/<name>`. */
export async function listArtifacts(
  deps: Deps,
  job: Pick<JobRow, 'id' | 'cached_from'>,
): Promise<ArtifactView[]> {
  const rows = await newest(deps, job.cached_from ?? job.id).execute()
  const base = `${deps.settings.public_url()}/v1/jobs/${job.id}/artifacts`
  return rows
    .map(({ bytes, sha256, content_type, ...row }) => {
      const name = row.shards_total > 1 && row.role === 'work' ? `shards/${row.index}/${row.name}` : row.name
      return { name, bytes, sha256, content_type, url: `${base}/${encodeURIComponent(name)}` }
    })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

/** One artifact; null: there is none of that name. */
export async function findArtifact(deps: Deps, job_id: string, path: string) {
  const cut = shardPath.exec(path)
  const [, index, name = path] = cut ?? []
  const rows = await newest(deps, job_id)
    .where('artifacts.name', 'in', [name ?? path, path])
    .execute()
  const row = rows.find((each) =>
    each.shards_total > 1 && each.role === 'work'
      ? each.name === name && String(each.index) === index
      : each.name === path,
  )
  return row ?? null
}

/** What the merge of a job reads: everything that its parts made, at addresses for the merge's own runner. */
export async function mergeInputs(
  deps: Deps,
  attempt: RunnerAttempt,
): Promise<{ name: string; url: string; sha256: string }[]> {
  const rows = await succeeded(deps, attempt.job_id).execute()
  return rows.map(({ index, name, sha256 }) => ({
    name: `shards/${index}/${name}`,
    url: `/v1/attempts/${attempt.id}/shards/${index}/${encodeURIComponent(name)}`,
    sha256,
  }))
}

/** One of the merge's inputs; null: it is not a merge, or there is no such file. */
export async function findMergeInput(deps: Deps, attempt: RunnerAttempt, index: number, name: string) {
  const { role } = await deps.db
    .selectFrom('shards')
    .select('role')
    .where('id', '=', attempt.shard_id)
    .executeTakeFirstOrThrow()
  if (role !== 'merge') return null
  const [row] = await succeeded(deps, attempt.job_id)
    .where('shards.index', '=', index)
    .where('artifacts.name', '=', name)
    .execute()
  return row ?? null
}

const succeeded = (deps: Deps, job_id: string) =>
  newest(deps, job_id).where('shards.role', '=', 'work').where('shards.state', '=', 'succeeded')

/** Of each shard and name the artifact of the newest attempt. */
const newest = (deps: Deps, job_id: string) =>
  deps.db
    .selectFrom('artifacts')
    .innerJoin('shards', 'shards.id', 'artifacts.shard_id')
    .innerJoin('jobs', 'jobs.id', 'artifacts.job_id')
    .select(['artifacts.name', 'bytes', 'sha256', 'content_type', 'object_key'])
    .select(['shards.index', 'shards.role', 'jobs.shards_total'])
    .distinctOn(['shards.index', 'artifacts.name'])
    .where('artifacts.job_id', '=', job_id)
    .where('purpose', '=', 'artifact')
    .orderBy('shards.index')
    .orderBy('artifacts.name')
    .orderBy('attempt_id', 'desc')

/** The checkpoint that an attempt starts from; null: from the beginning. */
export async function findCheckpoint(deps: Deps, shard_id: string) {
  const shard = await deps.db
    .selectFrom('shards')
    .select('checkpoint')
    .where('id', '=', shard_id)
    .executeTakeFirstOrThrow()
  return shard.checkpoint
}

const contentTypeOf = (name: string) =>
  contentTypes[name.slice(name.lastIndexOf('.') + 1).toLowerCase()] ?? 'application/octet-stream'
