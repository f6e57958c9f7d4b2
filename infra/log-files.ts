// Log lines kept as files, one a class and day, and removed when their class is not kept any longer.
import { mkdirSync, openSync, closeSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isClass, keptDays, type LogClass } from './log-class.ts'

/** Of one class and day: what is more is left out, so that a loop of failures does not fill the disk. */
const maxFile_bytes = 1024 ** 3
const day_ms = 86_400_000

export interface LogFiles {
  /** Appends a line; whole, also where several processes write to one file. */
  write: (of: LogClass, line: string) => void
  close: () => void
}

interface Open {
  day: string
  file: number
  left_bytes: number
}

/** Throws when the folder cannot be written to. Days are those of UTC. */
export function openLogFiles(folder: string, now: () => Date): LogFiles {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  removeOld(folder, now())
  const open = new Map<LogClass, Open>()
  const openOf = (of: LogClass): Open => {
    const at = now()
    const day = dayOf(at)
    const known = open.get(of)
    if (known?.day === day) return known
    if (known) closeSync(known.file)
    removeOld(folder, at)
    const path = join(folder, `${of}-${day}.jsonl`)
    const file = openSync(path, 'a', 0o600)
    const made = { day, file, left_bytes: maxFile_bytes - statSync(path).size }
    open.set(of, made)
    return made
  }
  return {
    write(of, line) {
      const bytes = Buffer.from(`${line}\n`)
      const to = openOf(of)
      if (to.left_bytes < bytes.byteLength) return
      to.left_bytes -= bytes.byteLength
      writeSync(to.file, bytes)
    },
    close() {
      for (const { file } of open.values()) closeSync(file)
      open.clear()
    },
  }
}

const dayOf = (at: Date) => at.toISOString().slice(0, 10)

/** Files of other names are left alone. */
function removeOld(folder: string, now: Date): void {
  for (const name of readdirSync(folder)) {
    const [, of, day] = /^(\w+)-(\d{4}-\d\d-\d\d)\.jsonl$/.exec(name) ?? []
    if (day === undefined || !isClass(of)) continue
    const oldest = dayOf(new Date(now.getTime() - keptDays[of] * day_ms))
    if (day < oldest) rmSync(join(folder, name), { force: true })
  }
}
