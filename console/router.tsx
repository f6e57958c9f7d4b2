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
import { jobsSearch } from './pages/jobs/search.ts'
import { newJobSearch } from './pages/new/search.ts'
import { auditSearch } from './pages/project/audit-search.ts'
import { usageSearch } from './pages/project/usage-search.ts'
import { offersSearch } from './pages/providers/offers-search.ts'

interface RouterContext {
  berth: Berth
  cache: QueryClient
}

const root = createRootRouteWithContext<RouterContext>()({
  component: Layout,
  notFoundComponent: NotFound,
  errorComponent: Broken,
})

const getParentRoute = () => root

const routes = root.addChildren([
  createRoute({
    getParentRoute,
    path: '/',
    component: lazyRouteComponent(() => import('./pages/overview-page.tsx'), 'OverviewPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/jobs',
    validateSearch: jobsSearch,
    component: lazyRouteComponent(() => import('./pages/jobs/jobs-page.tsx'), 'JobsPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/jobs/$id',
    validateSearch: jobSearch,
    component: lazyRouteComponent(() => import('./pages/job/job-page.tsx'), 'JobPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/compare',
    validateSearch: compareSearch,
    component: lazyRouteComponent(() => import('./pages/compare/compare-page.tsx'), 'ComparePage'),
  }),
  createRoute({
    getParentRoute,
    path: '/new',
    validateSearch: newJobSearch,
    component: lazyRouteComponent(() => import('./pages/new/new-page.tsx'), 'NewJobPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/start',
    component: lazyRouteComponent(() => import('./pages/start-page.tsx'), 'StartPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/datasets',
    component: lazyRouteComponent(() => import('./pages/project/datasets-page.tsx'), 'DatasetsPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/accounts',
    component: lazyRouteComponent(() => import('./pages/providers/accounts-page.tsx'), 'AccountsPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/accounts/add',
    component: lazyRouteComponent(() => import('./pages/providers/add-page.tsx'), 'AddAccountPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/accounts/$provider/$account',
    component: lazyRouteComponent(() => import('./pages/providers/account-page.tsx'), 'AccountPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/offers',
    validateSearch: offersSearch,
    component: lazyRouteComponent(() => import('./pages/providers/offers-page.tsx'), 'OffersPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/gpus',
    component: lazyRouteComponent(() => import('./pages/providers/gpus-page.tsx'), 'GpusPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/orphans',
    component: lazyRouteComponent(() => import('./pages/providers/orphans-page.tsx'), 'OrphansPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/limits',
    component: lazyRouteComponent(() => import('./pages/providers/limits-page.tsx'), 'LimitsPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/usage',
    validateSearch: usageSearch,
    component: lazyRouteComponent(() => import('./pages/project/usage-page.tsx'), 'UsagePage'),
  }),
  createRoute({
    getParentRoute,
    path: '/keys',
    component: lazyRouteComponent(() => import('./pages/project/keys-page.tsx'), 'KeysPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/webhooks',
    component: lazyRouteComponent(() => import('./pages/project/webhooks-page.tsx'), 'WebhooksPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/secrets',
    component: lazyRouteComponent(() => import('./pages/project/secrets-page.tsx'), 'SecretsPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/policy',
    component: lazyRouteComponent(() => import('./pages/project/policy-page.tsx'), 'PolicyPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/audit',
    validateSearch: auditSearch,
    component: lazyRouteComponent(() => import('./pages/project/audit-page.tsx'), 'AuditPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/members',
    component: lazyRouteComponent(() => import('./pages/project/members-page.tsx'), 'MembersPage'),
  }),
  createRoute({
    getParentRoute,
    path: '/settings',
    component: lazyRouteComponent(() => import('./pages/settings-page.tsx'), 'SettingsPage'),
  }),
])

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
