// `npm run bench -- crash [--kills 200] [--seed 1]`: kill -9 of a process that writes to the embedded database,
// at seeded moments, its first start included; every row that was acknowledged must be there afterwards.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sql } from 'kysely'
import { migrate, openDatabase } from '../infra/db.ts'
import { type Measurement, option } from './measurement.ts'

/** A folder is used for this many kills, then a new one is begun, whose first start is killed too. */
const killsPerFolder = 20
/** Kills fall within this time of the start: opening takes one to two seconds, the rest is writing. */
const longest_ms = 4_000

export const measure: Measurement = async (options) => {
  const kills = option(options, 'kills', 200)
  const seed = option(options, 'seed', 1)
  let [acknowledged, lost, unopened, starts] = [0, 0, 0, 0]
  for (let done = 0; done < kills;) {
    const folder = mkdtempSync(join(tmpdir(), 'berth-crash-'))
    const rows = new Set<string>()
    for (let n = 0; n < killsPerFolder && done < kills; n++, done++) {
      const first = n === 0
      if (first) starts++
      await writeUntilKilled(folder, moment(seed, done, first ? 2_500 : longest_ms), rows)
      const found = await readRows(folder)
      if (found === null) unopened++
      else for (const row of rows) if (!found.has(row)) lost++
      console.log(`kill ${done + 1} of ${kills}: ${rows.size} rows acknowledged in this folder`)
    }
    acknowledged += rows.size
    rmSync(folder, { recursive: true, force: true })
  }
  return {
    figures: { kills, first_starts: starts, acknowledged, lost, unopened, seed },
    targets: { lost: { at_most: 0 }, unopened: { at_most: 0 } },
  }
}

function moment(seed: number, kill: number, within_ms: number): number {
  return (createHash('sha256').update(`${seed}/${kill}`).digest().readUInt32BE(0) / 2 ** 32) * within_ms
}

async function writeUntilKilled(folder: string, after_ms: number, rows: Set<string>): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, 'write', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => rows.add(line))
  const closed = new Promise((resolve) => lines.once('close', resolve))
  const timer = setTimeout(() => child.kill('SIGKILL'), after_ms)
  await new Promise((resolve) => child.once('exit', resolve))
  await closed
  clearTimeout(timer)
}

async function readRows(folder: string): Promise<Set<string> | null> {
  try {
    const { db, close } = await openDatabase({ database_url: null, data_dir: folder })
    await migrate(db)
    const rows = await db.selectFrom('api_keys').select('name').execute()
    await close()
    return new Set(rows.map(({ name }) => name))
  } catch (error) {
    console.error(error)
    return null
  }
}

/** The process that is killed: says a number after its row is committed. */
async function write(folder: string): Promise<void> {
  const { db } = await openDatabase({ database_url: null, data_dir: folder })
  await migrate(db)
  await sql`insert into projects values ('prj_crash', 'crash', '', now()) on conflict do nothing`.execute(db)
  for (;;) {
    const number = process.hrtime.bigint().toString()
    await sql`insert into api_keys values (${number}, 'prj_crash', ${number}, ${number}, '', 'admin', now())`.execute(
      db,
    )
    process.stdout.write(`${number}\n`)
  }
}

if (import.meta.main && process.argv[2] === 'write') await write(process.argv[3] ?? '')
