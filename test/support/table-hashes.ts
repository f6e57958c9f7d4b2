import { sql } from 'kysely'
import type { Database } from '../../jobs/store/schema.ts'

/** Count and hash of the rows of every table; with a project, of all but its own. */
export async function tableHashes(
  db: Database,
  except: string | null = null,
): Promise<Record<string, string>> {
  const { rows: tables } = await sql<{ name: string; has_project: boolean }>`
    select c.relname as name, exists (
      select from pg_attribute a where a.attrelid = c.oid and a.attname = 'project_id'
    ) as has_project
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname not like 'kysely%' order by 1`.execute(db)
  const ownOf = (name: string, has_project: boolean) => {
    if (except === null || !(has_project || name === 'projects')) return sql``
    return sql`where ${sql.ref(name === 'projects' ? 'id' : 'project_id')} <> ${except}`
  }
  const each = tables.map(({ name, has_project }) => {
    const others = ownOf(name, has_project)
    return sql`select ${name}::text as name, count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as hash
      from ${sql.table(name)} t ${others}`
  })
  // Workers may read the tables in parallel: they end in any order.
  const all = sql.join(each, sql` union all `)
  const { rows } = await sql<{ name: string; hash: string }>`${all} order by 1`.execute(db)
  return Object.fromEntries(rows.map(({ name, hash }) => [name, hash]))
}
