// What each operation needs, in one place: an operation that is not here is not served (functions/_app.ts).
import type { Role } from '../jobs/keys.ts'

/**
 * A role: a key or a person who has at least this one in a project; the operation then sees that project alone. `operator`: an admin of
 * the project that runs the installation: accounts at providers, orphans and limits are no tenant's.
 * `owner or operator`: one who owns the project in the path, or an operator, whose project that is not.
 * `session`: a person who has logged in, of whatever project. `caller`: such a person, or a key.
 * `scraper`: nothing from the server's own machine, `operator` from elsewhere.
 * `runner`: the token of the attempt in the path. `bootstrap`: the token in a machine's user data. `nothing`: open to everybody.
 */
export type Right =
  | Role
  | 'operator'
  | 'owner or operator'
  | 'session'
  | 'caller'
  | 'runner'
  | 'bootstrap'
  | 'scraper'
  | 'nothing'

export const rights = {
  createJob: 'member',
  createJobs: 'member',
  estimateJob: 'member',
  listJobs: 'viewer',
  getJob: 'viewer',
  deleteJob: 'member',
  stopJob: 'member',
  cancelJob: 'member',
  cancelJobs: 'member',
  readSpec: 'viewer',
  listMachines: 'viewer',
  readOverview: 'viewer',
  // Names jobs of every project.
  listRunning: 'operator',
  explainJob: 'viewer',
  listEvents: 'viewer',
  readFeed: 'viewer',
  readLogs: 'viewer',
  listAttempts: 'viewer',
  listPoints: 'viewer',
  listTrades: 'viewer',
  readSeries: 'viewer',
  readSurface: 'viewer',
  readTable: 'viewer',
  readResult: 'viewer',
  listArtifacts: 'viewer',
  readArtifact: 'viewer',

  readWebhookSecret: 'admin',
  createWebhook: 'admin',
  // Addresses of endpoints and what they answered are for those who work with them.
  listWebhooks: 'member',
  getWebhook: 'member',
  changeWebhook: 'admin',
  deleteWebhook: 'admin',
  rotateWebhookSecret: 'admin',
  testWebhook: 'member',
  listWebhookDeliveries: 'member',
  listJobDeliveries: 'member',
  getDelivery: 'member',
  redeliver: 'member',

  createDataset: 'member',
  listDatasets: 'viewer',
  getDataset: 'viewer',
  deleteDataset: 'member',
  putDatasetPart: 'member',
  completeDataset: 'member',

  createApiKey: 'admin',
  listApiKeys: 'admin',
  rotateApiKey: 'admin',
  revokeApiKey: 'admin',

  putBudget: 'admin',
  listBudgets: 'viewer',
  deleteBudget: 'admin',
  putSecret: 'admin',
  listSecrets: 'viewer',
  deleteSecret: 'admin',
  readPolicy: 'viewer',
  putPolicy: 'admin',
  readProject: 'viewer',
  // Its weight takes from what others get: the handler asks for `operator`.
  changeProject: 'admin',
  readUsage: 'viewer',

  listOffers: 'viewer',
  listOfferHistory: 'viewer',
  // What an account answers may tell of its quotas and bills.
  listOfferSources: 'operator',
  listGpus: 'viewer',
  listLimits: 'viewer',
  putLimit: 'operator',
  deleteLimit: 'operator',
  listOrphans: 'operator',
  stopOrphan: 'operator',
  createProviderAccount: 'operator',
  listProviderAccounts: 'operator',
  getProviderAccount: 'operator',
  changeProviderAccount: 'operator',
  deleteProviderAccount: 'operator',
  testProviderAccount: 'operator',

  readMe: 'caller',
  listProjects: 'caller',
  createProject: 'session',
  getProject: 'viewer',
  patchProject: 'admin',
  exportProject: 'admin',
  deleteProject: 'owner or operator',
  listMembers: 'viewer',
  changeMember: 'admin',
  // Anybody may leave: the handler asks for `admin` where it is somebody else.
  removeMember: 'viewer',
  listInvitations: 'admin',
  createInvitation: 'admin',
  withdrawInvitation: 'admin',
  acceptInvitation: 'session',
  // Of the whole installation: the handler asks for `operator`.
  listAudit: 'admin',
  exportAudit: 'admin',

  // Who registers has nothing yet: the handler asks for what the server is set to.
  register: 'nothing',
  logIn: 'nothing',
  readLoginOptions: 'nothing',
  readPublicKeys: 'nothing',
  forgotPassword: 'nothing',
  resetPassword: 'nothing',
  verifyAgain: 'nothing',
  verifyEmail: 'nothing',
  logOut: 'session',
  issueToken: 'session',
  listSessions: 'session',
  endSession: 'session',
  endOtherSessions: 'session',
  readProfile: 'session',
  changeProfile: 'session',
  changePassword: 'session',
  exportPerson: 'session',
  deletePerson: 'session',

  fetchSpec: 'runner',
  reportAttempt: 'runner',
  appendLogs: 'runner',
  requestUrls: 'runner',
  putArtifact: 'runner',
  postArtifact: 'runner',
  readCheckpoint: 'runner',
  readAttemptDataset: 'runner',
  readMergeInput: 'runner',
  bootstrapMachine: 'bootstrap',
  // The same bytes for everybody, and no secret in them.
  readRunner: 'nothing',
  readMetrics: 'scraper',
  healthz: 'nothing',
  readyz: 'nothing',
} as const satisfies Record<string, Right>
