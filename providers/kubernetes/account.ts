// What the calls of one account share: the connection, made when it is first needed, the errors' meaning, and pages.
import { type Answer, bounded, type CallOptions, type Cluster, connect, Unreadable } from './connection.ts'
import { type Call, failureOf, statusOf } from './errors.ts'
import type { KubernetesProviderOptions } from './options.ts'

export interface Account {
  options: KubernetesProviderOptions
  provider: string
  /** Errors: ProviderError alone. */
  call: <T>(
    about: Omit<Call, 'provider'> & { kind?: Answer },
    signal: AbortSignal,
    work: Work<T>,
  ) => Promise<T>
  /** Everything of a list. */
  pages: <T>(what: string, signal: AbortSignal, page: ReadPage<T>, kind?: Answer) => Promise<T[]>
}

type Work<T> = (cluster: Cluster, options: CallOptions) => Promise<T>
type ReadPage<T> = (cluster: Cluster, where: Page, options: CallOptions) => Promise<List<T>>
interface Page {
  limit: number
  _continue?: string
}
interface List<T> {
  items: T[] | null
  metadata?: { _continue?: string } | undefined
}

/** One answer takes milliseconds; the API server itself gives up after a minute. */
const call_ms = 30_000
/** What kubectl asks for at once. */
const page_size = 500
/** A hundred thousand things of one account; a server that goes on after that answers in a circle. */
const maxPages = 200
/** A list whose pages were read too slowly begins again. */
const maxLists = 3

export function openAccount(options: KubernetesProviderOptions): Account {
  const provider = options.name ?? 'kubernetes'
  const { cluster: access } = options
  const bound = (signal: AbortSignal, kind?: Answer) => bounded(signal, options.call_ms ?? call_ms, kind)
  let opened: Promise<Cluster> | null = null

  const open = (signal: AbortSignal): Promise<Cluster> => {
    if (opened) return opened
    const opening = (async () =>
      connect(provider, typeof access === 'function' ? await access(signal) : access))()
    opened = opening
    opening.catch(() => (opened = null))
    return opening
  }

  const call: Account['call'] = async ({ kind, ...about }, signal, work) => {
    let hide: readonly string[] = about.hide ?? []
    const once = async () => {
      const cluster = await open(signal)
      hide = [...(about.hide ?? []), ...cluster.credentials]
      // The client may not send at all what is given up before.
      signal.throwIfAborted()
      return work(cluster, bound(signal, kind))
    }
    try {
      try {
        return await once()
      } catch (error) {
        // Credentials that are fetched may have been replaced since.
        if (statusOf(error)?.http !== 401 || typeof access !== 'function') throw error
        opened = null
        return await once()
      }
    } catch (error) {
      throw failureOf(error, { ...about, provider, hide })
    }
  }

  return {
    options,
    provider,
    call,
    pages: (what, signal, page, kind) =>
      call({ what, changes: false, ...(kind && { kind }) }, signal, async (cluster) => {
        for (let tries = 1; ; tries++) {
          try {
            return await allOf((where) => page(cluster, where, bound(signal, kind)))
          } catch (error) {
            if (statusOf(error)?.http !== 410 || tries === maxLists) throw error
          }
        }
      }),
  }
}

async function allOf<T>(page: (where: Page) => Promise<List<T>>): Promise<T[]> {
  const found: T[] = []
  let next: string | undefined
  for (let pages = 0; pages < maxPages; pages++) {
    const list = await page({ limit: page_size, ...(next && { _continue: next }) })
    // A list of names alone says null for none.
    if (list.items !== null && !Array.isArray(list.items))
      throw new Unreadable('an answer that is not a list')
    found.push(...(list.items ?? []))
    next = list.metadata?._continue
    if (!next) return found
  }
  throw new Unreadable('a list without an end')
}
