// Keeps everything that comes out of an adapter, and looks for secrets in it.
import { inspect } from 'node:util'
import type { Provider } from '../provider.ts'
import type { Call } from './subject.ts'

/** What came out of the adapter, and of which call. */
export interface Kept {
  call: Call | 'check' | 'devices' | 'tail'
  what: 'answer' | 'error'
  value: unknown
}

/** The same adapter, with everything that it says kept. */
export function watched(provider: Provider, kept: Kept[]): Provider {
  const keep = async <Value>(call: Kept['call'], work: () => Promise<Value>): Promise<Value> => {
    try {
      const value = await work()
      kept.push({ call, what: 'answer', value })
      return value
    } catch (error) {
      kept.push({ call, what: 'error', value: error })
      throw error
    }
  }
  return {
    name: provider.name,
    account: provider.account,
    traits: provider.traits,
    check: (signal) => keep('check', () => provider.check(signal)),
    offers: (signal) => keep('offers', () => provider.offers(signal)),
    launch: (...given) => keep('launch', () => provider.launch(...given)),
    inspect: (...given) => keep('inspect', () => provider.inspect(...given)),
    stop: (...given) => keep('stop', () => provider.stop(...given)),
    async *list(signal) {
      const listed = provider.list(signal)[Symbol.asyncIterator]()
      try {
        for (;;) {
          const { done, value } = await keep('list', () => listed.next())
          if (done === true) return
          yield value
        }
      } finally {
        await listed.return?.()
      }
    },
    ...(provider.devices && {
      devices: (signal) => keep('devices', async () => (await provider.devices?.(signal)) ?? []),
    }),
    ...(provider.tail && {
      tail: (...given) => keep('tail', async () => (await provider.tail?.(...given)) ?? ''),
    }),
  }
}

/** Where a secret was seen, or null. The secret itself is not in the answer. */
export function leakIn(kept: readonly Kept[], secrets: ReadonlyMap<string, string>): string | null {
  for (const { call, what, value } of kept) {
    const texts = [
      // Properties that JSON leaves out: message, stack, cause, and what an SDK hangs on its errors.
      inspect(value, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null }),
      jsonOf(value),
      value instanceof Error ? `${value.message}\n${value.stack}` : '',
    ].join('\n')
    for (const [secret, label] of secrets)
      if (formsOf(secret).some((form) => texts.includes(form))) return `${label} is in the ${what} of ${call}`
  }
  return null
}

/** As vendors and SDKs write it into URLs, headers and bodies. */
function formsOf(secret: string): string[] {
  const base64 = [0, 1, 2].map((offset) =>
    // Inside of longer text its base64 depends on where it begins; the ends depend on the neighbours.
    Buffer.from('\0'.repeat(offset) + secret)
      .toString('base64')
      .slice(offset === 0 ? 0 : 4, -4),
  )
  return [secret, encodeURIComponent(secret), ...base64].filter(({ length }) => length >= shortest)
}

/** Shorter pieces would be found in innocent text. */
const shortest = 6

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return '' // a cycle, which inspect() shows
  }
}
