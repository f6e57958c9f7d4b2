// Every call of an account goes through here: it is counted, keeps to the vendor's rate, and is not made while the account does not
// answer.
import { ProviderError } from '../providers/errors.ts'
import type { Provider } from '../providers/provider.ts'
import type { Health, ProviderCall } from './health.ts'

/** The provider with all its calls watched. One account has one health, however often it is opened. */
export function watched(provider: Provider, health: Health): Provider {
  const of = { provider: provider.name, account: provider.account }
  const admit = (call: ProviderCall, signal: AbortSignal) =>
    health.admit(of, call, provider.traits.calls_per_s, signal)
  const through = async <Result>(call: ProviderCall, signal: AbortSignal, ask: () => Promise<Result>) => {
    const turn = await admit(call, signal)
    let failure: ProviderError | null = null
    try {
      return await ask()
    } catch (error) {
      failure = knownOf(provider.name, call, error)
      throw error
    } finally {
      health.ended(turn, failure)
    }
  }
  return {
    ...provider,
    check: (signal) => through('check', signal, () => provider.check(signal)),
    offers: (signal, missing) => through('offers', signal, () => provider.offers(signal, missing)),
    launch: (request, secrets, signal) =>
      through('launch', signal, () => provider.launch(request, secrets, signal)),
    inspect: (refs, signal) => through('inspect', signal, () => provider.inspect(refs, signal)),
    stop: (ref, signal) => through('stop', signal, () => provider.stop(ref, signal)),
    async *list(signal) {
      const turn = await admit('list', signal)
      let failure: ProviderError | null = null
      try {
        yield* provider.list(signal)
      } catch (error) {
        failure = knownOf(provider.name, 'list', error)
        throw error
      } finally {
        // Also where the reader has seen enough.
        health.ended(turn, failure)
      }
    },
    ...(provider.devices && {
      devices: (signal) => through('devices', signal, async () => (await provider.devices?.(signal)) ?? []),
    }),
    ...(provider.tail && {
      tail: (ref, signal) => through('tail', signal, async () => (await provider.tail?.(ref, signal)) ?? ''),
    }),
  }
}

/** What an adapter throws by mistake holds who knows what. */
function knownOf(provider: string, call: ProviderCall, error: unknown): ProviderError {
  if (error instanceof ProviderError) return error
  const code = call === 'launch' || call === 'stop' ? 'unknown_outcome' : 'unavailable'
  return new ProviderError(code, { provider, detail: 'an unexpected error' })
}
