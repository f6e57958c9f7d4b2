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

const app = {
  async fetch(request: Request, { requestContext }: Invocation): Promise<Response> {
    const left: Promise<unknown>[] = []
    const address = requestContext?.http?.sourceIp ?? null
    const response = await edge.fetch(environment(), request, { address, after: (work) => left.push(work) })
    // It is frozen as soon as the answer has ended.
    await Promise.all(left)
    return response
  },
}

/** Of a function URL whose invoke mode is RESPONSE_STREAM. */
export const handler = streamHandle(app as unknown as Hono)

/** Of a schedule. */
export const scheduled = () => edge.tick(environment(), tick)
