import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import Download from 'lucide-react/icons/download'
import { useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { readFile, saveAs } from '../../api/files.ts'
import { may, useMe } from '../../api/me.ts'
import type { AuditEntry } from '../../api/types.ts'
import { Problem, useOrder } from '../../parts/problem.tsx'
import { auditTexts } from '../../text/audit.ts'
import { common } from '../../text/common.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { inputClass } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty, Skeleton } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { At } from '../../ui/time.tsx'
import type { AuditSearch } from './audit-search.ts'

export function AuditPage() {
  const t = useText(auditTexts)
  const c = useText(common)
  const api = useApi()
  const filters = useSearch({ from: '/audit' })
  const query = useInfiniteQuery({
    queryKey: ['audit', filters],
    queryFn: ({ pageParam }) =>
      answered(
        api.routes.v1.audit.$get({
          query: { ...filters, ...(pageParam === null ? {} : { cursor: pageParam }) },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor }) => next_cursor,
  })
  const entries = query.data?.pages.flatMap(({ items }) => items)
  return (
    <Page title={t('title')} about={t('about')} actions={<Export filters={filters} />}>
      <Filters filters={filters} />
      {query.isError && entries === undefined ? (
        <Problem error={query.error} onRetry={() => void query.refetch()} />
      ) : entries === undefined ? (
        <Skeleton label={c('loading')} />
      ) : entries.length === 0 ? (
        <Empty title={t('none')}>{t('noneHint')}</Empty>
      ) : (
        <div className="flex flex-col items-center gap-3 px-4 pb-6">
          <Panel className="w-full">
            <Entries entries={entries} />
          </Panel>
          {query.hasNextPage ? (
            <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              {t('more')}
            </Button>
          ) : null}
        </div>
      )}
    </Page>
  )
}

function Entries({ entries }: { entries: readonly AuditEntry[] }) {
  const t = useText(auditTexts)
  const c = useText(common)
  const [open, setOpen] = useState<AuditEntry | null>(null)
  const columns: Column<AuditEntry>[] = [
    { id: 'at', head: t('at'), cell: ({ at }) => <At at={at} /> },
    {
      id: 'action',
      head: t('action'),
      cell: (entry) => (
        <button type="button" className="min-h-6 font-medium hover:underline" onClick={() => setOpen(entry)}>
          {entry.action}
        </button>
      ),
    },
    {
      id: 'subject',
      head: t('subject'),
      cell: ({ subject }) => <span className="font-mono text-xs">{subject}</span>,
    },
    {
      id: 'who',
      head: t('who'),
      cell: ({ by, actor }) => (
        <span>
          {by} <span className="font-mono text-xs text-muted">{actor}</span>
        </span>
      ),
    },
    {
      id: 'from',
      head: t('from'),
      wide: true,
      cell: ({ address }) => <span className="font-mono text-xs text-muted">{address}</span>,
    },
  ]
  return (
    <>
      <Table columns={columns} rows={entries} keyOf={({ id }) => id} label={t('title')} />
      <Dialog
        open={open !== null}
        onClose={() => setOpen(null)}
        title={open?.action ?? ''}
        about={open?.subject ?? ''}
        close_label={c('close')}
        wide
      >
        <div className="grid gap-4 sm:grid-cols-2">
          <Json title={t('before')} value={open?.before} />
          <Json title={t('after')} value={open?.after} />
        </div>
      </Dialog>
    </>
  )
}

function Json({ title, value }: { title: string; value: unknown }) {
  return (
    <section className="min-w-0">
      <h3 className="pb-1 text-[13px] font-semibold">{title}</h3>
      <pre
        tabIndex={0}
        className="max-h-[55vh] overflow-auto rounded-md border border-line bg-sunken p-2 font-mono text-xs"
      >
        {value === null || value === undefined ? '–' : JSON.stringify(value, null, 2)}
      </pre>
    </section>
  )
}

function Filters({ filters }: { filters: AuditSearch }) {
  const t = useText(auditTexts)
  const isOperator = may(useMe(), 'operator')
  const navigate = useNavigate()
  const set = (patch: Record<string, string>) =>
    void navigate({
      to: '/audit',
      search: Object.fromEntries(
        Object.entries({ ...filters, ...patch }).filter(([, value]) => value !== ''),
      ) as AuditSearch,
      replace: true,
    })
  const text = (name: 'action' | 'actor' | 'subject', label: string) => (
    <input
      key={`${name}=${filters[name] ?? ''}`}
      aria-label={label}
      placeholder={label}
      defaultValue={filters[name] ?? ''}
      className={`${inputClass} w-56! text-[13px]`}
      onBlur={({ target }) => target.value !== (filters[name] ?? '') && set({ [name]: target.value.trim() })}
      onKeyDown={({ key, currentTarget }) => key === 'Enter' && set({ [name]: currentTarget.value.trim() })}
    />
  )
  return (
    <div role="search" className="flex flex-wrap items-center gap-2 px-4 pb-3">
      {text('action', t('filterAction'))}
      {text('actor', t('filterActor'))}
      {text('subject', t('filterSubject'))}
      {isOperator ? (
        <select
          aria-label={t('of')}
          className={`${inputClass} w-40! text-[13px]`}
          value={filters.of ?? ''}
          onChange={({ target }) => set({ of: target.value })}
        >
          <option value="">{t('project')}</option>
          <option value="installation">{t('installation')}</option>
        </select>
      ) : null}
    </div>
  )
}

function Export({ filters }: { filters: AuditSearch }) {
  const t = useText(auditTexts)
  const api = useApi()
  const save = useOrder(async () => {
    const query = new URLSearchParams({ ...filters, format: 'csv' })
    saveAs(await readFile(api, `/v1/audit/export?${query}`), 'audit.csv')
  })
  return (
    <Button
      busy={save.isPending}
      icon={<Download className="size-4" aria-hidden />}
      onClick={() => save.mutate(undefined)}
    >
      {t('download')}
    </Button>
  )
}
