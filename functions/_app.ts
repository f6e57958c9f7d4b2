// Mounts every function. Runs on any runtime that has fetch: what it needs comes in as Deps.
import { OpenAPIHono } from '@hono/zod-openapi'
import { Scalar } from '@scalar/hono-api-reference'
import { newId } from '../jobs/ids.ts'
import type { Deps } from '../jobs/deps.ts'
import { createFollowers } from '../jobs/followers.ts'
import { createHeartbeats } from '../jobs/heartbeats.ts'
import { createLogs } from '../jobs/logs.ts'
import { createPace } from '../jobs/pace.ts'
import { createPreparation } from '../jobs/prepare.ts'
import { createTell } from '../jobs/report.ts'
import { createSubmit } from '../jobs/submit.ts'
import { tellAccess } from './_access.ts'
import type { Env } from './_env.ts'
import { guardRoutes, notServed } from './_gate.ts'
import { allowOrigins, tellBrowsers } from './_headers.ts'
import { problemOf } from './_problem.ts'
import { measure } from './_measure.ts'
import { shedLoad } from './_shed.ts'
import * as attempts from './attempts.ts'
import * as audit from './audit.ts'
import * as auth from './auth.ts'
import * as bootstrapMachine from './bootstrap-machine.ts'
import * as budgets from './budgets.ts'
import * as cancelJob from './cancel-job.ts'
import * as cancelJobs from './cancel-jobs.ts'
import * as createJob from './create-job.ts'
import * as createJobs from './create-jobs.ts'
import * as datasets from './datasets.ts'
import * as deliveries from './deliveries.ts'
import * as deleteJob from './delete-job.ts'
import * as estimateJob from './estimate-job.ts'
import * as explainJob from './explain-job.ts'
import * as getJob from './get-job.ts'
import * as health from './health.ts'
import * as inventory from './inventory.ts'
import * as keys from './keys.ts'
import * as limits from './limits.ts'
import * as listArtifacts from './list-artifacts.ts'
import * as listAttempts from './list-attempts.ts'
import * as listEvents from './list-events.ts'
import * as listJobs from './list-jobs.ts'
import * as listMachines from './list-machines.ts'
import * as listPoints from './list-points.ts'
import * as listTrades from './list-trades.ts'
import * as listRunning from './list-running.ts'
import * as offerHistory from './offer-history.ts'
import * as orphans from './orphans.ts'
import * as me from './me.ts'
import * as members from './members.ts'
import * as metrics from './metrics.ts'
import * as passwords from './passwords.ts'
import * as policy from './policy.ts'
import * as providerAccounts from './provider-accounts.ts'
import * as privacy from './privacy.ts'
import * as project from './project.ts'
import * as projectPrivacy from './project-privacy.ts'
import * as projects from './projects.ts'
import * as readArtifact from './read-artifact.ts'
import * as readFeed from './read-feed.ts'
import * as readLogs from './read-logs.ts'
import * as readOverview from './read-overview.ts'
import * as readResult from './read-result.ts'
import * as readRunner from './read-runner.ts'
import * as readSeries from './read-series.ts'
import * as readSurface from './read-surface.ts'
import * as readTable from './read-table.ts'
import * as readSpec from './read-spec.ts'
import * as readUsage from './read-usage.ts'
import * as readWebhookSecret from './read-webhook-secret.ts'
import * as secrets from './secrets.ts'
import * as sessions from './sessions.ts'
import * as stopJob from './stop-job.ts'
import * as webhooks from './webhooks.ts'

export type App = ReturnType<typeof createApp>

/** The whole API as one fetch handler. Throws for a route of which functions/_rights.ts does not say who may. */
// oxlint-disable-next-line max-lines-per-function -- a table: one line a route
export function createApp(deps: Deps) {
  const pace = createPace(deps)
  const prepare = createPreparation(deps)
  const submit = createSubmit(deps)
  const recording = { beat: createHeartbeats(deps), tell: createTell(deps) }
  const base = createBase(deps)
  const { complete } = guardRoutes(base, deps)
  const app = base
    .openapi(createJob.route, createJob.handler(deps, prepare, submit))
    .openapi(createJobs.route, createJobs.handler(deps, prepare, submit))
    .openapi(estimateJob.route, estimateJob.handler(deps))
    .openapi(listJobs.route, listJobs.handler(deps))
    .openapi(getJob.route, getJob.handler(deps))
    .openapi(deleteJob.route, deleteJob.handler(deps))
    .openapi(stopJob.route, stopJob.handler(deps))
    .openapi(cancelJob.route, cancelJob.handler(deps))
    .openapi(cancelJobs.route, cancelJobs.handler(deps))
    .openapi(readSpec.route, readSpec.handler(deps))
    .openapi(listMachines.route, listMachines.handler(deps))
    .openapi(readOverview.route, readOverview.handler(deps))
    .openapi(listRunning.route, listRunning.handler(deps))
    .openapi(explainJob.route, explainJob.handler(deps))
    .openapi(listEvents.route, listEvents.handler(deps))
    .openapi(readFeed.route, readFeed.handler(deps, createFollowers(deps)))
    .openapi(readLogs.route, readLogs.handler(deps))
    .openapi(listAttempts.route, listAttempts.handler(deps))
    .openapi(listPoints.route, listPoints.handler(deps))
    .openapi(listTrades.route, listTrades.handler(deps))
    .openapi(readSeries.route, readSeries.handler(deps))
    .openapi(readSurface.route, readSurface.handler(deps))
    .openapi(readTable.route, readTable.handler(deps))
    .openapi(readResult.route, readResult.handler(deps))
    .openapi(listArtifacts.route, listArtifacts.handler(deps))
    .openapi(readArtifact.route, readArtifact.handler(deps))
    .openapi(readWebhookSecret.route, readWebhookSecret.handler(deps))
    .openapi(webhooks.openRoute, webhooks.create(deps))
    .openapi(webhooks.listRoute, webhooks.list(deps))
    .openapi(webhooks.getRoute, webhooks.get(deps))
    .openapi(webhooks.patchRoute, webhooks.patch(deps))
    .openapi(webhooks.deleteRoute, webhooks.remove(deps))
    .openapi(webhooks.rotateRoute, webhooks.rotate(deps))
    .openapi(deliveries.testRoute, deliveries.test(deps))
    .openapi(deliveries.ofWebhookRoute, deliveries.ofWebhook(deps))
    .openapi(deliveries.ofJobRoute, deliveries.ofJob(deps))
    .openapi(deliveries.getRoute, deliveries.get(deps))
    .openapi(deliveries.redeliverRoute, deliveries.again(deps))
    .openapi(datasets.openRoute, datasets.create(deps))
    .openapi(datasets.listRoute, datasets.list(deps))
    .openapi(datasets.getRoute, datasets.get(deps))
    .openapi(datasets.deleteRoute, datasets.remove(deps))
    .openapi(datasets.partRoute, datasets.part(deps))
    .openapi(datasets.completeRoute, datasets.complete(deps))
    .openapi(keys.openRoute, keys.create(deps))
    .openapi(keys.listRoute, keys.list(deps))
    .openapi(keys.rotateRoute, keys.rotate(deps))
    .openapi(keys.revokeRoute, keys.revoke(deps))
    .openapi(budgets.putRoute, budgets.put(deps))
    .openapi(budgets.listRoute, budgets.list(deps))
    .openapi(budgets.deleteRoute, budgets.remove(deps))
    .openapi(secrets.putRoute, secrets.put(deps))
    .openapi(secrets.listRoute, secrets.list(deps))
    .openapi(secrets.deleteRoute, secrets.remove(deps))
    .openapi(policy.getRoute, policy.get(deps))
    .openapi(policy.putRoute, policy.put(deps))
    .openapi(project.getRoute, project.get(deps))
    .openapi(project.patchRoute, project.patch(deps))
    .openapi(inventory.offersRoute, inventory.offers(deps))
    .openapi(inventory.gpusRoute, inventory.gpus(deps))
    .openapi(offerHistory.historyRoute, offerHistory.history(deps))
    .openapi(offerHistory.sourcesRoute, offerHistory.sources(deps))
    .openapi(limits.listRoute, limits.list(deps))
    .openapi(limits.putRoute, limits.put(deps))
    .openapi(limits.deleteRoute, limits.remove(deps))
    .openapi(orphans.listRoute, orphans.list(deps))
    .openapi(orphans.stopRoute, orphans.stop(deps))
    .openapi(providerAccounts.openRoute, providerAccounts.create(deps))
    .openapi(providerAccounts.listRoute, providerAccounts.list(deps))
    .openapi(providerAccounts.getRoute, providerAccounts.get(deps))
    .openapi(providerAccounts.patchRoute, providerAccounts.patch(deps))
    .openapi(providerAccounts.deleteRoute, providerAccounts.remove(deps))
    .openapi(providerAccounts.testRoute, providerAccounts.test(deps))
    .openapi(readUsage.route, readUsage.handler(deps))
    .openapi(me.route, me.handler(deps))
    .openapi(projects.listRoute, projects.list(deps))
    .openapi(projects.openRoute, projects.create(deps))
    .openapi(projects.getRoute, projects.get(deps))
    .openapi(projects.patchRoute, projects.patch(deps))
    .openapi(projectPrivacy.exportRoute, projectPrivacy.exportAll(deps))
    .openapi(projectPrivacy.deleteRoute, projectPrivacy.remove(deps))
    .openapi(members.listRoute, members.list(deps))
    .openapi(members.changeRoute, members.change(deps))
    .openapi(members.removeRoute, members.remove(deps))
    .openapi(members.invitationsRoute, members.invitations(deps))
    .openapi(members.inviteRoute, members.create(deps))
    .openapi(members.withdrawRoute, members.withdrawOne(deps))
    .openapi(members.acceptRoute, members.accept(deps))
    .openapi(audit.listRoute, audit.list(deps))
    .openapi(audit.exportRoute, audit.exportAll(deps))
    .openapi(auth.registerRoute, auth.register(deps))
    .openapi(auth.loginRoute, auth.login(deps))
    .openapi(auth.logoutRoute, auth.logout(deps))
    .openapi(auth.tokenRoute, auth.token(deps))
    .openapi(auth.publicKeysRoute, auth.publicKeys(deps))
    .openapi(auth.optionsRoute, auth.options(deps))
    .openapi(passwords.forgotRoute, passwords.forgot(deps))
    .openapi(passwords.resetRoute, passwords.reset(deps))
    .openapi(passwords.changeRoute, passwords.change(deps))
    .openapi(passwords.verifyRoute, passwords.verify(deps))
    .openapi(passwords.againRoute, passwords.again(deps))
    .openapi(sessions.listRoute, sessions.list(deps))
    .openapi(sessions.endRoute, sessions.end(deps))
    .openapi(sessions.endOthersRoute, sessions.endOthers(deps))
    .openapi(sessions.profileRoute, sessions.readProfile(deps))
    .openapi(sessions.patchRoute, sessions.patch(deps))
    .openapi(privacy.exportRoute, privacy.exportOwn(deps))
    .openapi(privacy.deleteRoute, privacy.deleteOwn(deps))
    .openapi(attempts.specRoute, attempts.fetchSpec(deps, pace))
    .openapi(attempts.reportRoute, attempts.reportAttempt(deps, pace, recording))
    .openapi(attempts.logsRoute, attempts.appendLogs(deps, pace, createLogs(deps)))
    .openapi(attempts.urlsRoute, attempts.requestUrls(deps))
    .openapi(attempts.putRoute, attempts.putArtifact(deps))
    .openapi(attempts.postRoute, attempts.postArtifact(deps))
    .openapi(attempts.checkpointRoute, attempts.readCheckpoint(deps))
    .openapi(attempts.datasetRoute, attempts.readDataset(deps))
    .openapi(attempts.mergeInputRoute, attempts.readMergeInput(deps))
    .openapi(bootstrapMachine.route, bootstrapMachine.handler(deps))
    .openapi(readRunner.route, readRunner.handler(deps))
    .openapi(metrics.route, metrics.handler(deps))
    .openapi(health.liveRoute, health.live())
    .openapi(health.readyRoute, health.ready(deps))
  complete()
  return app
}

/** What goes for every route: request ids, problems, keys, bounds, and the document. */
function createBase(deps: Deps) {
  const app = new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw result.error
    },
  })
  app.onError((error, c) => problemOf(error, c, deps.log))
  app.use(async (c, next) => {
    const request_id = newId('req', deps.clock.now(), deps.random)
    c.set('request_id', request_id)
    c.header('X-Request-Id', request_id)
    await next()
  })
  const { cors_origins } = deps.settings
  app.use(tellBrowsers(deps), ...(cors_origins.length > 0 ? [allowOrigins(cors_origins)] : []))
  const { meter, access } = deps
  if (access) app.use(tellAccess(access, deps))
  if (meter) app.use(measure(meter))
  app.use(shedLoad())
  app.notFound(notServed(app))
  app.openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, or a token of a person’s session.',
  })
  // A browser's cookie has another name over plain http.
  const cookie = {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-berth',
    description: 'A person asks in the project that the header Berth-Project names, else in their first.',
  } as const
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', cookie)
  app.doc31('/openapi.json', openapiInfo)
  app.get('/reference', Scalar({ url: '/openapi.json', pageTitle: 'Berth API' }))
  app.get('/', (c) => c.redirect('/reference'))
  return app
}

/** Head of the OpenAPI document; the rest follows from the routes. */
export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Berth',
    version: '0.1.0',
    description: 'A serverless cloud-GPU job orchestrator for quantitative finance.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/' }],
  security: [{ key: [] }, { session: [] }],
}
