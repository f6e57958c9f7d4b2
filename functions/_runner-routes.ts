// What runners and machines say and fetch.
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { createHeartbeats } from '../jobs/heartbeats.ts'
import { createLogs } from '../jobs/logs.ts'
import { createPace } from '../jobs/pace.ts'
import { createTell } from '../jobs/report.ts'
import type { Env } from './_env.ts'
import * as attempts from './attempts.ts'
import * as bootstrapMachine from './bootstrap-machine.ts'
import * as readRunner from './read-runner.ts'

export function runnerRoutes(app: OpenAPIHono<Env>, deps: Deps) {
  const pace = createPace(deps)
  const recording = { beat: createHeartbeats(deps), tell: createTell(deps) }
  return app
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
}
