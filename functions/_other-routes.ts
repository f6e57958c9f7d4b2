// All that is set up: projects and people, keys, data, webhooks, budgets, accounts.
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import * as audit from './audit.ts'
import * as auth from './auth.ts'
import * as budgets from './budgets.ts'
import * as datasets from './datasets.ts'
import * as deliveries from './deliveries.ts'
import * as inventory from './inventory.ts'
import * as keys from './keys.ts'
import * as limits from './limits.ts'
import * as me from './me.ts'
import * as members from './members.ts'
import * as offerHistory from './offer-history.ts'
import * as orphans from './orphans.ts'
import * as passwords from './passwords.ts'
import * as policy from './policy.ts'
import * as privacy from './privacy.ts'
import * as projectPrivacy from './project-privacy.ts'
import * as project from './project.ts'
import * as projects from './projects.ts'
import * as providerAccounts from './provider-accounts.ts'
import * as readUsage from './read-usage.ts'
import * as readWebhookSecret from './read-webhook-secret.ts'
import * as secrets from './secrets.ts'
import * as sessions from './sessions.ts'
import * as webhooks from './webhooks.ts'

// oxlint-disable-next-line max-lines-per-function -- a table: one line a route
export function otherRoutes(app: OpenAPIHono<Env>, deps: Deps) {
  return app
    .openapi(readWebhookSecret.route, readWebhookSecret.handler(deps))
    .openapi(webhooks.openRoute, webhooks.create(deps))
    .openapi(webhooks.listRoute, webhooks.list(deps))
    .openapi(webhooks.getRoute, webhooks.get(deps))
    .openapi(webhooks.patchRoute, webhooks.patch(deps))
    .openapi(webhooks.deleteRoute, webhooks.remove(deps))
    .openapi(webhooks.rotateRoute, webhooks.rotate(deps))
    .openapi(deliveries.testRoute, deliveries.test(deps))
    .openapi(deliveries.ofWebhookRoute, deliveries.ofWebhook(deps))
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
}
