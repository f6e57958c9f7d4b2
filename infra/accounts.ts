// The providers of this process: those of the environment, and one for each account that is stored.
import { calledAccounts, openAccount, type Opening } from '../jobs/opening.ts'
import type { Deps } from '../jobs/deps.ts'
import type { Offer, Provider } from '../providers/provider.ts'

export interface Accounts {
  /** What is called now; the same array all the time. */
  providers: readonly Provider[]
  /** Takes in what was changed. Answers whether something was. */
  refresh: (deps: Opening & Pick<Deps, 'db' | 'log'>) => Promise<boolean>
  /** Raised when what an account is opened with changes; 0 of those of the environment. */
  versionOf: (provider: Provider) => number
  /** Equal where `allows` answers alike. */
  state: () => string
  /** Whether launches may go to an offer of a provider. */
  allows: (provider: Provider, offer: Offer) => boolean
}

interface Kept {
  version: number
  provider: Provider
  isOpen: boolean
  regions: readonly string[] | null
}

export function keepAccounts(fixed: readonly Provider[]): Accounts {
  const providers: Provider[] = [...fixed]
  let kept = new Map<string, Kept>()
  /** Versions that could not be opened, so that it is logged once. */
  const broken = new Map<string, number>()
  let last = ''
  let byProvider = new Map<Provider, Kept>()
  const accountOf = (provider: Provider) => byProvider.get(provider)
  return {
    providers,
    async refresh(deps) {
      const rows = await calledAccounts(deps)
      const next = new Map<string, Kept>()
      for (const row of rows) {
        const before = kept.get(row.id)
        const isOpen = row.enabled && !row.draining
        const more = { version: row.version, isOpen, regions: row.regions }
        if (before?.version === row.version) next.set(row.id, { ...before, ...more })
        else
          try {
            next.set(row.id, { ...more, provider: await openAccount(deps, row) })
          } catch (error) {
            if (broken.get(row.id) !== row.version)
              deps.log('error', 'an account could not be opened', {
                provider: row.provider,
                account: row.account,
                error: error instanceof Error ? error.name : 'unknown',
              })
            broken.set(row.id, row.version)
            // What runs there is still looked after by what was good before; nothing new goes there.
            if (before) next.set(row.id, { ...before, isOpen: false })
          }
      }
      kept = next
      byProvider = new Map([...next.values()].map((account) => [account.provider, account]))
      providers.splice(0, providers.length, ...fixed, ...[...next.values()].map(({ provider }) => provider))
      const now = JSON.stringify(
        [...next].map(([id, { version, isOpen, regions }]) => [id, version, isOpen, regions]),
      )
      const isChanged = now !== last
      last = now
      return isChanged
    },
    state: () => last,
    versionOf: (provider) => accountOf(provider)?.version ?? 0,
    allows(provider, offer) {
      const account = accountOf(provider)
      if (!account) return true
      return account.isOpen && (account.regions === null || account.regions.includes(offer.region))
    },
  }
}
