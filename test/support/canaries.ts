// Secrets that are looked for where they must not be.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { sql } from 'kysely'
import type { Database } from '../../jobs/store/schema.ts'

/** By what they are called. */
export type Canaries = Readonly<Record<string, string>>

/** The names of those that a text holds. */
export const heldIn = (canaries: Canaries, text: string): string[] =>
  Object.entries(canaries).flatMap(([name, value]) => (text.includes(value) ? [name] : []))

/** Which of them stands in clear in which table, whatever tables there are. */
export async function heldInTables(db: Database, canaries: Canaries): Promise<string[]> {
  const { rows: tables } = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition order by 1`.execute(db)
  const found: string[] = []
  for (const { name: table } of tables)
    for (const [name, value] of Object.entries(canaries)) {
      const { rows } = await sql<{ held: boolean }>`select exists (
        select from ${sql.table(table)} t where position(${value} in t::text) > 0) as held`.execute(db)
      if (rows[0]?.held) found.push(`${name} in ${table}`)
    }
  return found
}

/** Which of them stands in which file of a folder. */
export function heldInFiles(folder: string, canaries: Canaries, except: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || except.includes(entry.name)) return []
    return heldIn(canaries, readFileSync(path, 'latin1')).map(
      (name) => `${name} in ${relative(folder, path)}`,
    )
  })
}

/** Which of them stands in the command line of which process of this machine, or in the environment of one that a process has started. */
export function heldInProcesses(canaries: Canaries, parent: number): string[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .toSorted((a, b) => Number(a) - Number(b))
  const started = new Set([String(parent)])
  // A process comes after the one that it is of, but for numbers that have begun again.
  for (const pid of pids)
    if (started.has(/^PPid:\t(\d+)$/m.exec(textOf(pid, 'status'))?.[1] ?? '')) started.add(pid)
  const own = textOf(String(parent), 'cmdline')
  return pids.flatMap((pid) => {
    const command = textOf(pid, 'cmdline')
    // Between its fork and its own program a process is still the parent.
    const isOwn = started.has(pid) && command !== own
    const its = isOwn ? textOf(pid, 'environ') : ''
    return heldIn(canaries, `${command}\0${its}`).map((name) => `${name} in ${command.slice(0, 200)}`)
  })
}

/** Empty where the process has ended. */
function textOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
