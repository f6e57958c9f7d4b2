import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { migrate } from '../../infra/db.ts'
import { openTestDatabase } from '../support/database.ts'

const folder = resolve(import.meta.dirname, '../../migrations')

/** Installations have run these, in this order: a new one comes after all of them, or their databases do not start. */
const released = [
  '0001_initial',
  '0002_budgets',
  '0003_orphans',
  '0004_restore',
  '0005_placement',
  '0006_sweeps',
  '0007_result_cache',
  '0008_reads',
  '0010_datasets',
  '0011_logs',
  '0012_events_webhooks',
  '0013_dispatch',
]

test('a new migration comes after all that installations have run', () => {
  const names = readdirSync(folder).map((file) => file.replace(/\.ts$/, ''))
  expect(names.toSorted().slice(0, released.length)).toEqual(released)
})

test('a server of the version before starts on a schema that a newer one has made, but not on one that it does not know', async () => {
  const { db } = await openTestDatabase()
  const newer = '9999_of_a_newer_version'
  await sql`insert into kysely_migration values (${newer}, now()::text)`.execute(db)
  try {
    await migrate(db)
    const last = (
      await sql<{ name: string }>`
      delete from kysely_migration where name = (
        select max(name) from kysely_migration where name <> ${newer}) returning *`.execute(db)
    ).rows
    await expect(migrate(db)).rejects.toThrow('could not be migrated')
    for (const row of last)
      await sql`insert into kysely_migration select ${row.name}, now()::text`.execute(db)
  } finally {
    await sql`delete from kysely_migration where name = ${newer}`.execute(db)
  }
  await migrate(db)
})
