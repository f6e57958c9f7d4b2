import './styles.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createApi } from './api/client.ts'
import { type Berth, BerthProvider, useCredential } from './api/context.tsx'
import { keepCredentials, keyInFragment } from './api/credential.ts'
import { LiveProvider } from './api/live.tsx'
import { isPassing } from './api/problem.ts'
import { LinkPage, linkPaths } from './pages/people/links.tsx'
import { SignInPage } from './pages/sign-in.tsx'
import { createConsoleRouter } from './router.tsx'
import { PrefsProvider } from './text/prefs.tsx'
import { TipProvider } from './ui/tip.tsx'
import { ToastProvider } from './ui/toast.tsx'

/** What passes is asked again this often before it is told. */
const maxRetries = 4

const credentials = keepCredentials(sessionStorage, localStorage)
const given = keyInFragment(location.hash)
if (given !== null) {
  credentials.useKey(given, false)
  history.replaceState(null, '', location.pathname + location.search)
}
/** The secret of a link from a mail, taken out of the address at once. */
const link = linkPaths.find((path) => path === location.pathname)
const secret = link === undefined ? '' : (new URLSearchParams(location.hash.slice(1)).get('token') ?? '')
if (link !== undefined) history.replaceState(null, '', link)
const fetch = globalThis.fetch.bind(globalThis)
const berth: Berth = {
  api: createApi(fetch, credentials, location.origin),
  credentials,
  fetch,
  clock: () => new Date(),
}
const cache = new QueryClient({
  defaultOptions: {
    queries: {
      retry: (failures, error) => isPassing(error) && failures < maxRetries,
      // The feed tells of changes; a page that is looked at again after a while reads anew.
      staleTime: 15_000,
    },
  },
})
const router = createConsoleRouter(berth, cache)

function Console() {
  const credential = useCredential()
  if (link !== undefined) return <LinkPage path={link} secret={secret} />
  return credential === null ? (
    <SignInPage />
  ) : (
    <LiveProvider>
      <RouterProvider router={router} />
    </LiveProvider>
  )
}

const root = document.getElementById('root')
if (root === null) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <PrefsProvider>
      <BerthProvider berth={berth}>
        <QueryClientProvider client={cache}>
          <TipProvider>
            <ToastProvider>
              <Console />
            </ToastProvider>
          </TipProvider>
        </QueryClientProvider>
      </BerthProvider>
    </PrefsProvider>
  </StrictMode>,
)
