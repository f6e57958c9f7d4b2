// The same API for a program that starts for one request: a part of it is loaded when it is first asked, with all schemas that it has.
import { getPath } from 'hono/utils/url'
import type { Deps } from '../jobs/deps.ts'
import { createBase, shareAll } from './_base.ts'
import { serverRoutes } from './_server-routes.ts'

type Fetch = (request: Request, bindings?: object) => Response | Promise<Response>
type Routes = (app: ReturnType<typeof createBase>['app'], deps: Deps) => unknown

/** What each part answers; an address of none is the whole API's, and so is what tells of all routes. */
const parts = {
  server: /^\/(healthz|readyz|metrics)$/,
  runner: /^\/v1\/(attempts|runner)\//,
  job: /^\/v1\/(jobs|events|overview|attempts)(\/|$)/,
  other: /^\/v1\//,
} as const
type Part = keyof typeof parts | 'whole'

/** Answers as createApp does. */
export function createLazyApp(deps: Deps): { fetch: (...asked: Parameters<Fetch>) => Promise<Response> } {
  const shared = shareAll(deps)
  const made = (add: Routes): Fetch => {
    const { app } = createBase(deps, shared)
    add(app, deps)
    return app.fetch
  }
  const load: Record<Part, () => Promise<() => Fetch>> = {
    server: async () => () => made(serverRoutes),
    async runner() {
      const { runnerRoutes } = await import('./_runner-routes.ts')
      return () => made(runnerRoutes)
    },
    async job() {
      const { jobRoutes } = await import('./_job-routes.ts')
      return () => made(jobRoutes)
    },
    async other() {
      const { otherRoutes } = await import('./_other-routes.ts')
      return () => made(otherRoutes)
    },
    async whole() {
      const { createApp } = await import('./_app.ts')
      return () => createApp(deps, shared).fetch
    },
  }
  const loaded: Partial<Record<Part, Fetch>> = {}
  return {
    async fetch(request, bindings) {
      const part = partOf(getPath(request))
      const known = loaded[part]
      if (known) return known(request, bindings)
      // Requests that come at once share the part, and not the wait for it: a worker may end the one that began to wait.
      const make = await load[part]()
      const answer = (loaded[part] ??= make())
      return answer(request, bindings)
    },
  }
}

const partOf = (path: string): Part =>
  (Object.keys(parts) as (keyof typeof parts)[]).find((part) => parts[part].test(path)) ?? 'whole'
