// A PostgreSQL's disk as another one would be: its flushes take longer.
import { execFileSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { join } from 'node:path'

/** Returns the environment under which a PostgreSQL's flushes take so many microseconds longer, null without a compiler. */
export function slowFlush(us: number, folder: string): NodeJS.ProcessEnv | null {
  chmodSync(folder, 0o755) // PostgreSQL runs as another user
  const library = join(folder, 'slow-flush.so')
  const source = join(import.meta.dirname, 'slow-flush.c')
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'], { stdio: 'pipe' })
  } catch (cause) {
    console.error(
      `not measured with slower flushes: cc does not compile here (${String(cause).split('\n')[0]})`,
    )
    return null
  }
  return { LD_PRELOAD: library, SLOW_FLUSH_US: String(us) }
}
