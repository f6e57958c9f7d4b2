// What the client touches of its process, as arguments, so that tests run it without one.
import type { Writable } from 'node:stream'

export interface Terminal {
  isTTY?: boolean
  columns?: number
}

export interface Io {
  env: Readonly<Record<string, string | undefined>>
  /** Relative paths on the command line and the data folder start here. */
  cwd: string
  stdin: AsyncIterable<Uint8Array> & { isTTY?: boolean; setRawMode?: (on: boolean) => unknown }
  stdout: Writable & Terminal
  stderr: Writable & Terminal
  /** Aborted by Ctrl-C. */
  interrupted: AbortSignal
  fetch: typeof fetch
}

/** 128 + SIGPIPE, as shells say it of a writer whose reader has gone. */
const readerGone = 141

export function processIo(): Io {
  const interrupt = new AbortController()
  // Only the first is taken: a second Ctrl-C ends the process at once.
  process.once('SIGINT', () => interrupt.abort())
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      process.exit(readerGone)
    })
  }
  return {
    env: process.env,
    cwd: process.cwd(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    interrupted: interrupt.signal,
    fetch,
  }
}
