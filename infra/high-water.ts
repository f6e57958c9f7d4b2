// The newest time that the database is known to have held, kept outside of it: a database that is older has been
// restored from a copy (jobs/orphans.ts).
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export function highWaterFile(data_dir: string) {
  const path = join(data_dir, 'high-water')
  return {
    /** null: there is none, or what is there is no time. */
    read(): Date | null {
      try {
        const at = new Date(readFileSync(path, 'utf8').trim())
        return Number.isNaN(at.getTime()) ? null : at
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
    },
    write(at: Date): void {
      writeFileSync(`${path}.tmp`, `${at.toISOString()}\n`)
      renameSync(`${path}.tmp`, path)
    },
  }
}
