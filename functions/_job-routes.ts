// Jobs, and what is read of them.
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { createFollowers } from '../jobs/followers.ts'
import { createPreparation } from '../jobs/prepare.ts'
import { createSubmit } from '../jobs/submit.ts'
import type { Env } from './_env.ts'
import * as cancelJob from './cancel-job.ts'
import * as cancelJobs from './cancel-jobs.ts'
import * as createJob from './create-job.ts'
import * as createJobs from './create-jobs.ts'
import * as deleteJob from './delete-job.ts'
import * as deliveries from './deliveries.ts'
import * as estimateJob from './estimate-job.ts'
import * as explainJob from './explain-job.ts'
import * as getJob from './get-job.ts'
import * as listArtifacts from './list-artifacts.ts'
import * as listAttempts from './list-attempts.ts'
import * as listEvents from './list-events.ts'
import * as listJobs from './list-jobs.ts'
import * as listMachines from './list-machines.ts'
import * as listPoints from './list-points.ts'
import * as listRunning from './list-running.ts'
import * as listTrades from './list-trades.ts'
import * as readArtifact from './read-artifact.ts'
import * as readFeed from './read-feed.ts'
import * as readLogs from './read-logs.ts'
import * as readOverview from './read-overview.ts'
import * as readResult from './read-result.ts'
import * as readSeries from './read-series.ts'
import * as readSpec from './read-spec.ts'
import * as readSurface from './read-surface.ts'
import * as readTable from './read-table.ts'
import * as stopJob from './stop-job.ts'

export function jobRoutes(app: OpenAPIHono<Env>, deps: Deps) {
  const prepare = createPreparation(deps)
  const submit = createSubmit(deps)
  return app
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
    .openapi(deliveries.ofJobRoute, deliveries.ofJob(deps))
}
