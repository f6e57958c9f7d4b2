// AWS Lambda on Node: a function URL with streamed answers, and a schedule of EventBridge.
// https://docs.aws.amazon.com/lambda/latest/dg/config-rs-write-functions.html
import type { Hono } from 'hono'
import { streamHandle } from 'hono/aws-lambda'
import { environment } from '../config.ts'
import { createOutboundFetch, resolveTarget } from '../outbound.ts'
import { createEdge } from './edge.ts'

/** A schedule of a minute, and a function that may take somewhat longer (template.yaml). */
const tick = { rows: 500, ms: 40_000 }

const edge = createEdge({
  life: 'invocation',
  outbound: createOutboundFetch,
  resolve_target: resolveTarget,
})

interface Invocation {
  requestContext?: { http?: { sourceIp?: string } }
}

/** What is still to be done when the answer has ended: a sandbox has one event at a time. */
let left: Promise<unknown>[] = []

const app = {
  fetch: (request: Request, { requestContext }: Invocation): Promise<Response> =>
    edge.fetch(environment(), request, {
      address: requestContext?.http?.sourceIp ?? null,
      after: (work) => left.push(work),
    }),
}

type Handler = (event: object, stream: object, context: object) => Promise<void>
/** Given by the runtime there. */
declare const awslambda: { streamifyResponse: (handler: Handler) => Handler }
const answer = streamHandle(app as unknown as Hono) as unknown as Handler

/** Of a function URL whose invoke mode is RESPONSE_STREAM. The client has its answer when the stream ends; the sandbox is frozen when this does. */
export const handler = awslambda.streamifyResponse(async (event, stream, context) => {
  left = []
  await answer(event, stream, context)
  await Promise.allSettled(left)
})

/** Of a schedule. */
export const scheduled = () => edge.tick(environment(), tick)
