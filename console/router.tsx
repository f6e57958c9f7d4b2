// The route tree. Every page is a chunk of its own; what a list is filtered by is in its address.
import type { QueryClient } from '@tanstack/react-query'
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router'
import type { Berth } from './api/context.tsx'
import { Broken, NotFound } from './pages/broken.tsx'
import { Layout } from './pages/layout.tsx'
import { compareSearch } from './pages/compare/search.ts'
import { jobSearch } from './pages/job/search.ts'
import { newJobSearch } from './pages/new/search.ts'
import { jobsSearch } from './pages/jobs/search.ts'

export interface RouterContext {
  berth: Berth
  cache: QueryClient
}

const root = createRootRouteWithContext<RouterContext>()({
  component: Layout,
  notFoundComponent: NotFound,
  errorComponent: Broken,
})

const jobs = createRoute({
  getParentRoute: () => root,
  path: '/jobs',
  validateSearch: jobsSearch,
  component: lazyRouteComponent(() => import('./pages/jobs/jobs-page.tsx'), 'JobsPage'),
})
const job = createRoute({
  getParentRoute: () => root,
  path: '/jobs/$id',
  validateSearch: jobSearch,
  component: lazyRouteComponent(() => import('./pages/job/job-page.tsx'), 'JobPage'),
})

const newJob = createRoute({
  getParentRoute: () => root,
  path: '/new',
  validateSearch: newJobSearch,
  component: lazyRouteComponent(() => import('./pages/new/new-page.tsx'), 'NewJobPage'),
})

const compare = createRoute({
  getParentRoute: () => root,
  path: '/compare',
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import('./pages/compare/compare-page.tsx'), 'ComparePage'),
})

const routes = root.addChildren([jobs, job, newJob, compare])

export function createConsoleRouter(berth: Berth, cache: QueryClient) {
  return createRouter({
    routeTree: routes,
    context: { berth, cache },
    defaultPreload: 'intent',
    defaultErrorComponent: Broken,
    scrollRestoration: true,
  })
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>
  }
}
