// What the domain is given. infra/compose.ts makes it; tests make their own.

/** Time that decides: database time, advanced by the process's monotonic clock. */
export interface Clock {
  now(): Date
}

/** Artifacts by content. A key is chosen by the caller and never holds user input. */
export interface ObjectStore {
  /** Streams `body` in; refuses (throws ObjectTooLarge) past `max_bytes` and leaves nothing behind. */
  put(
    key: string,
    body: ReadableStream<Uint8Array>,
    options: { max_bytes: number },
  ): Promise<{ bytes: number; sha256: string }>
  /** null: not there. */
  get(key: string): Promise<{ bytes: number; body: ReadableStream<Uint8Array> } | null>
  /** Idempotent. */
  delete(key: string): Promise<void>
}

/** A stream ended before its size was known to be within the bound. */
export class ObjectTooLarge extends Error {
  override readonly name = 'ObjectTooLarge'
}

/** Seals secrets that are stored in rows (AES-256-GCM; the context binds a value to its row). */
export interface Sealer {
  seal(plain: string, context: string): string
  /** Throws when the key or the context is not the one it was sealed with. */
  open(sealed: string, context: string): string
}

/** One JSON line; `fields` never holds a secret. */
export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void
