// All that is kept of a project, a line of JSON for each thing, so that however much it is fits in memory. No secret is in it; files and
// logs are named with where they are read.
import { listArtifacts } from './artifacts.ts'
import { exportAudit } from './audit-log.ts'
import { listBudgets } from './budgets.ts'
import { listDatasets } from './datasets.ts'
import type { Deps } from './deps.ts'
import { listEndpoints } from './endpoints.ts'
import { listInvitations } from './invitations.ts'
import { listMembers } from './members.ts'
import { readPolicies } from './policy.ts'
import { readProject } from './project.ts'
import { listKeys } from './project-keys.ts'
import { listJobs } from './read.ts'
import { listSecrets } from './secrets.ts'

/** Things that are held at once. */
const page = 100

/** `type` says what the `data` of a line is: project, member, invitation, key, secret, webhook, budget, policy, dataset, job, cost or audit. */
export async function* exportProject(deps: Deps, project_id: string): AsyncGenerator<string> {
  const { db } = deps
  const lines = (type: string, items: readonly object[]) => items.map((item) => lineOf(type, item)).join('')
  yield lines('project', [await readProject(deps, project_id)])
  yield lines('member', await listMembers(db, project_id))
  yield lines('invitation', await listInvitations(deps, project_id))
  yield lines('key', await listKeys(deps, project_id))
  yield lines('secret', await listSecrets(deps, project_id))
  yield lines('webhook', await listEndpoints(deps, project_id))
  yield lines('budget', await listBudgets(deps, project_id))
  const policy = (await readPolicies(db, [project_id])).get(project_id)
  if (policy) yield lines('policy', [policy])
  for await (const items of pages((at) => listDatasets(deps, project_id, at))) yield lines('dataset', items)
  for await (const items of pages((at) => listJobs(deps, project_id, at)))
    yield lines('job', await Promise.all(items.map((job) => wholeJob(deps, job))))
  yield* costs(deps, project_id)
  for await (const text of exportAudit(deps, { project_id }, 'ndjson'))
    yield text.replaceAll(/^.+$/gm, '{"type":"audit","data":$&}')
}

const lineOf = (type: string, data: object) => `${JSON.stringify({ type, data })}\n`

type Listed = Awaited<ReturnType<typeof listJobs>>['items'][number]

/** With what it made, and where its log is. */
async function wholeJob(deps: Deps, job: Listed) {
  const artifacts = await listArtifacts(deps, job)
  return { ...job, artifacts, logs: job.links.logs }
}

/** What was booked, oldest first. */
async function* costs({ db }: Deps, project_id: string): AsyncGenerator<string> {
  for (let after = 0; ;) {
    const rows = await db
      .selectFrom('ledger')
      .selectAll()
      .where('project_id', '=', project_id)
      .where('id', '>', after)
      .orderBy('id')
      .limit(page)
      .execute()
    yield rows.map((row) => lineOf('cost', row)).join('')
    after = rows.at(-1)?.id ?? after
    if (rows.length < page) return
  }
}

interface Page<Item> {
  items: Item[]
  next_cursor: string | null
}

async function* pages<Item>(
  read: (at: { limit: number; cursor?: string | undefined }) => Promise<Page<Item>>,
): AsyncGenerator<Item[]> {
  let cursor: string | undefined
  for (;;) {
    const { items, next_cursor } = await read({ limit: page, cursor })
    if (items.length > 0) yield items
    if (next_cursor === null) return
    cursor = next_cursor
  }
}
