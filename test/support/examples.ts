// One request for each operation, which succeeds for whom the tenant's things belong to.
import { createHash } from 'node:crypto'
import type { rights } from '../../functions/_rights.ts'
import { password } from './people.ts'
import type { Tenant } from './tenant.ts'
import { backtest } from './world.ts'

export interface Example {
  path?: Record<string, string>
  query?: string
  /** JSON, or with `type` the body as it is. */
  body?: unknown
  type?: string
  /** What its owner gets, where it is not a 2xx. */
  owner?: number
}

const octets = { type: 'application/octet-stream' }
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** In the order in which each still finds what it needs. */
export function examplesOf(it: Tenant): Record<keyof typeof rights, Example> {
  const job = { path: { id: it.ended.job_id } }
  const attempt = { path: { id: it.running.attempt_id } }
  const webhook = { path: { id: it.webhook_id } }
  const account = { path: { id: it.account_id } }
  const file = { path: { ...attempt.path, name: 'a.txt' } }
  const { owner, viewer, leaver, spare, invitation_id, invitation_token } = it.people
  const project = { path: { id: it.project_id } }
  const spec = backtest({ params: { ...backtest().params, data: { dataset: it.dataset_id } } })
  return {
    createJob: { body: spec },
    createJobs: { body: { jobs: [spec] } },
    estimateJob: { body: backtest() },
    listJobs: {},
    getJob: job,
    readSpec: job,
    listMachines: { path: { id: it.running.job_id } },
    readOverview: {},
    listRunning: {},
    explainJob: { path: { id: it.queued_id } },
    listEvents: job,
    readFeed: {},
    readLogs: job,
    listAttempts: job,
    listPoints: job,
    // Its program wrote no tables.
    listTrades: { ...job, owner: 404 },
    readSeries: { ...job, owner: 404 },
    readTable: { path: { ...job.path, name: 'trades.parquet' }, owner: 404 },
    readSurface: { ...job, query: 'x=fast&y=slow', owner: 404 },
    readResult: job,
    listArtifacts: job,
    readArtifact: { path: { ...job.path, name: 'result.json' } },
    listJobDeliveries: job,
    readWebhookSecret: {},
    createWebhook: { body: { url: 'https://example.com/hook' } },
    listWebhooks: {},
    getWebhook: webhook,
    changeWebhook: { ...webhook, body: { description: 'changed' } },
    rotateWebhookSecret: { ...webhook, body: {} },
    testWebhook: webhook,
    listWebhookDeliveries: webhook,
    getDelivery: { path: { id: it.delivery_id } },
    redeliver: { path: { id: it.delivery_id } },
    createDataset: {
      body: { name: 'new', format: 'csv', bytes: 5, sha256: sha256('other'), adjustment: 'none' },
    },
    listDatasets: {},
    getDataset: { path: { id: it.dataset_id } },
    putDatasetPart: { path: { id: it.upload_id, number: '0' }, body: 'other', ...octets },
    // It has no columns.
    completeDataset: { path: { id: it.upload_id }, owner: 422 },
    createApiKey: { body: { name: 'another', role: 'viewer' } },
    listApiKeys: {},
    rotateApiKey: { path: { id: it.key_id }, body: {} },
    putBudget: { body: { scope: 'project', limit_usd: 1_000 } },
    listBudgets: {},
    putSecret: { path: { name: it.secret }, body: { value: 'another' } },
    listSecrets: {},
    readPolicy: {},
    putPolicy: { body: { regions: ['here'] } },
    readProject: {},
    changeProject: { body: { name: 'renamed' } },
    readUsage: {},
    listOffers: {},
    listOfferHistory: {},
    listOfferSources: {},
    listGpus: {},
    listLimits: {},
    putLimit: { body: { scope: 'kind', key: 'backtest', max_running: 5 } },
    listOrphans: {},
    stopOrphan: { path: { id: it.orphan_id } },
    createProviderAccount: {
      body: { provider: 'cloud', account: 'new', enabled: false, credentials: { token: 'x' } },
    },
    listProviderAccounts: {},
    getProviderAccount: account,
    changeProviderAccount: { ...account, body: { draining: true } },
    testProviderAccount: account,
    readMe: {},
    listProjects: {},
    createProject: { body: { name: 'another' } },
    getProject: project,
    patchProject: { ...project, body: { name: 'renamed' } },
    exportProject: {},
    // It runs the installation.
    deleteProject: { ...project, owner: 403 },
    listMembers: project,
    changeMember: { path: { ...project.path, user_id: viewer.id }, body: { role: 'viewer' } },
    listInvitations: project,
    createInvitation: { ...project, body: { email: 'somebody@example.com' } },
    withdrawInvitation: { path: { ...project.path, invitation_id } },
    acceptInvitation: { body: { token: invitation_token } },
    listAudit: {},
    exportAudit: {},
    // It is closed.
    register: { body: { email: 'new@example.com', name: 'New', password }, owner: 403 },
    logIn: { body: { email: owner.email, password } },
    readLoginOptions: {},
    readPublicKeys: {},
    // No mails are sent, so that there are no links.
    forgotPassword: { body: { email: owner.email }, owner: 409 },
    resetPassword: { body: { token: 'of-no-mail', password }, owner: 422 },
    verifyAgain: { body: { email: owner.email }, owner: 409 },
    verifyEmail: { body: { token: 'of-no-mail' }, owner: 422 },
    issueToken: {},
    listSessions: {},
    endSession: { path: { id: spare.session_id } },
    readProfile: {},
    changeProfile: { body: { organisation: 'Desk' } },
    changePassword: { body: { current: password, password: `${password} staple` } },
    endOtherSessions: {},
    exportPerson: {},
    // The last owner of the project.
    deletePerson: { body: { password: `${password} staple` }, owner: 409 },
    fetchSpec: attempt,
    reportAttempt: { ...attempt, body: { type: 'heartbeat', progress: 0.5 } },
    appendLogs: {
      ...attempt,
      body: { number: 1, at: '2026-03-02T09:00:01Z', stream: 'stdout', text: 'line\n' },
    },
    requestUrls: { ...attempt, body: { names: ['a.txt'] } },
    putArtifact: { ...file, body: 'a', ...octets },
    postArtifact: { ...file, body: 'YQ==', type: 'text/plain' },
    readCheckpoint: attempt,
    readAttemptDataset: attempt,
    // Its job has no parts to merge.
    readMergeInput: { path: { ...attempt.path, index: '0', name: 'points.parquet' }, owner: 404 },
    // The provider of tests runs no images.
    bootstrapMachine: {
      body: { attempt_id: it.machine.attempt_id, machine: 'machine-of-a-test' },
      owner: 422,
    },
    readRunner: { path: { file: 'runner.sh' } },
    readMetrics: {},
    healthz: {},
    readyz: {},
    stopJob: { path: { id: it.running.job_id } },
    cancelJob: { path: { id: it.machine.job_id } },
    cancelJobs: { body: { state: 'queued' } },
    deleteJob: job,
    revokeApiKey: { path: { id: it.key_id } },
    deleteDataset: { path: { id: it.dataset_id } },
    deleteBudget: { path: { id: it.budget_id } },
    deleteSecret: { path: { name: it.secret } },
    deleteLimit: { path: { id: it.limit_id } },
    // Others may still go by it for a minute.
    deleteProviderAccount: { ...account, owner: 409 },
    deleteWebhook: webhook,
    removeMember: { path: { ...project.path, user_id: leaver.id } },
    logOut: {},
  }
}

/** The address of a request. */
export function addressOf(template: string, { path = {}, query = '' }: Example): string {
  const filled = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(path[name] ?? ''))
  return query === '' ? filled : `${filled}?${query}`
}
