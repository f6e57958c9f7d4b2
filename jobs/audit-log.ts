// What the audit log is read by: newest first, a page at a time, or as one file.
import { sql } from 'kysely'
import type { Actor } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Json } from './view.ts'

export interface AuditFilter {
  /** null: of the whole installation. */
  project_id: string | null
  /** Or a beginning that ends with a dot: `key.` */
  action?: string | undefined
  actor?: string | undefined
  subject?: string | undefined
  from?: string | undefined
  to?: string | undefined
}

export interface AuditEntry {
  id: string
  at: string
  project_id: string | null
  by: Actor['by']
  actor: string | null
  address: string | null
  request_id: string | null
  action: string
  subject: string | null
  before: Json
  after: Json
}

/** Entries of one file: a month of changes of a large desk. A file that has as many says where to go on by its last line's time. */
const maxExported = 1_000_000
const exportPage = 1_000

export async function readAudit(
  { db }: Pick<Deps, 'db'>,
  filter: AuditFilter,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: AuditEntry[]; next_cursor: string | null }> {
  if (cursor !== undefined && !/^\d{1,18}$/.test(cursor))
    throw new AppError('invalid_cursor', 'The cursor is not one of this list.')
  const { project_id, action, actor, subject, from, to } = filter
  const rows = await db
    .selectFrom('audit_log')
    .selectAll()
    .$if(project_id !== null, (log) => log.where('project_id', '=', project_id))
    .$if(action !== undefined, (log) =>
      action?.endsWith('.')
        ? log.where(sql<boolean>`starts_with(action, ${action})`)
        : log.where('action', '=', action ?? ''),
    )
    .$if(actor !== undefined, (log) => log.where('actor_id', '=', actor ?? ''))
    .$if(subject !== undefined, (log) => log.where('subject', '=', subject ?? ''))
    .$if(from !== undefined, (log) => log.where('at', '>=', new Date(from ?? 0)))
    .$if(to !== undefined, (log) => log.where('at', '<', new Date(to ?? 0)))
    .$if(cursor !== undefined, (log) => log.where('id', '<', Number(cursor)))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const items = rows.slice(0, limit).map((row): AuditEntry => ({
    id: String(row.id),
    at: row.at.toISOString(),
    project_id: row.project_id,
    by: row.actor_by,
    actor: row.actor_id,
    address: row.address,
    request_id: row.request_id,
    action: row.action,
    subject: row.subject,
    before: row.before as Json,
    after: row.after as Json,
  }))
  return { items, next_cursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
}

const formats = {
  ndjson: { head: '', line: (entry: AuditEntry) => `${JSON.stringify(entry)}\n` },
  csv: {
    head: 'id,at,project_id,by,actor,address,request_id,action,subject,before,after\r\n',
    line: (entry: AuditEntry) => `${Object.values(entry).map(cell).join(',')}\r\n`,
  },
} as const
export type AuditFormat = keyof typeof formats

/** The text of a file, a page of entries at a time, newest first. */
export async function* exportAudit(
  deps: Pick<Deps, 'db'>,
  filter: AuditFilter,
  format: AuditFormat,
): AsyncGenerator<string> {
  const { head, line } = formats[format]
  if (head !== '') yield head
  let cursor: string | undefined
  for (let done = 0; done < maxExported; done += exportPage) {
    const { items, next_cursor } = await readAudit(deps, filter, { limit: exportPage, cursor })
    yield items.map(line).join('')
    if (next_cursor === null) return
    cursor = next_cursor
  }
}

/** By RFC 4180. What a spreadsheet would take for a formula is text: names in it are chosen by anybody. */
function cell(value: unknown): string {
  if (value === null) return ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
}
