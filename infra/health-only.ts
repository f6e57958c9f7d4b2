import type { Fetch } from './listen.ts'

/** A server without the role `api` answers only whether it is well, and what it counts. */
export function healthOf(fetch: Fetch): Fetch {
  return (request, bindings) =>
    /^\/(healthz|readyz|metrics)$/.test(new URL(request.url).pathname)
      ? fetch(request, bindings)
      : new Response(null, { status: 404 })
}
