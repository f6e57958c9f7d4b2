import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { openDatabase } from '../../infra/db.ts'
import { isPostgres } from '../support/database.ts'

describe.skipIf(!isPostgres)('a connection that PostgreSQL ends', () => {
  test('between two statements of a transaction fails the transaction, and not the process', async () => {
    const config = { database_url: `${inject('postgres_url')}/postgres`, data_dir: '' }
    const [ours, admin] = await Promise.all([openDatabase(config), openDatabase(config)])
    const cut = ours.db.transaction().execute(async (tx) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx)
      await sql`select pg_terminate_backend(${rows[0]?.pid}, 5000)`.execute(admin.db)
      // The end is heard of while no statement is under way.
      await new Promise((resolve) => setImmediate(resolve))
      await sql`select 1`.execute(tx)
    })
    await expect(cut).rejects.toThrow()
    expect((await sql`select 1 as one`.execute(ours.db)).rows).toEqual([{ one: 1 }])
    await Promise.all([ours.close(), admin.close()])
  })
})
