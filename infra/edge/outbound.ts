// Calls to addresses that tenants choose, where the runtime connects by itself: an address as a literal is checked here, and what a
// name leads to by the network that the runtime is given, which must reach public addresses alone (docs/edge.md).
import { checkTarget, OutboundError, type OutboundOptions, readBounded, toOutboundError } from '../targets.ts'

/**
 * A fetch that follows no redirect and whose answer is complete when it resolves, cut at 64 KiB.
 * @throws OutboundError
 */
export function createRuntimeFetch({ allow_private, timeout_ms }: OutboundOptions): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    const reason = checkTarget(url, { allow_private })
    if (reason !== null) throw new OutboundError('refused', reason)
    const request = new Request(input, init)
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout_ms)])
    try {
      const answer = await fetch(request, { redirect: 'manual', signal })
      const { status, statusText, headers } = answer
      return new Response(await readBounded(answer.body), { status, statusText, headers: [...headers] })
    } catch (error) {
      throw toOutboundError(error, timeout_ms)
    }
  }
}
