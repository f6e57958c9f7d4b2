// What pages are given: the API, who is signed in, and whether the feed is live.
import { createContext, type ReactNode, useContext, useSyncExternalStore } from 'react'
import type { Api } from './client.ts'
import type { Credential, Credentials } from './credential.ts'

export interface Berth {
  api: Api
  credentials: Credentials
  fetch: typeof globalThis.fetch
  clock: () => Date
}

const BerthContext = createContext<Berth | null>(null)

export function BerthProvider({ berth, children }: { berth: Berth; children: ReactNode }) {
  return <BerthContext value={berth}>{children}</BerthContext>
}

export function useBerth(): Berth {
  const berth = useContext(BerthContext)
  if (berth === null) throw new Error('no BerthProvider')
  return berth
}

export const useApi = (): Api => useBerth().api

/** null: nobody has signed in. */
export function useCredential(): Credential | null {
  const { credentials } = useBerth()
  return useSyncExternalStore(credentials.watch, credentials.now)
}
