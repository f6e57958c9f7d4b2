import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { createRowReader, type JobRows } from '../../api/job-rows.ts'
import { jobListQuery } from '../../api/jobs.ts'
import { Problem } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { jobsTexts } from '../../text/jobs.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { useKeys } from '../../ui/keyboard.ts'
import { Page } from '../../ui/page.tsx'
import { Rows } from '../../ui/rows.tsx'
import { Empty, Skeleton } from '../../ui/states.tsx'
import { useNow } from '../../ui/time.tsx'
import { Filters } from './filters.tsx'
import { JobHead, JobLine } from './job-line.tsx'
import { Selection } from './selection.tsx'

export function JobsPage() {
  const t = useText(jobsTexts)
  const c = useText(common)
  const filters = useSearch({ from: '/jobs' })
  const navigate = useNavigate()
  const query = useInfiniteQuery(jobListQuery(useApi(), filters))
  const { data, hasNextPage, isFetchingNextPage, fetchNextPage } = query
  const [read] = useState(createRowReader)
  const rows = useMemo(() => read(data?.pages ?? []), [read, data])
  const [selected, select] = useState<ReadonlySet<string>>(new Set())
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const toggle = useCallback(
    (id: string) =>
      select((before) => {
        const after = new Set(before)
        if (!after.delete(id)) after.add(id)
        return after
      }),
    [],
  )
  const current = useRowKeys(rows, toggle)
  const now = useNow(20_000)
  const onOpen = useCallback((id: string) => void navigate({ to: '/jobs/$id', params: { id } }), [navigate])
  const isFiltered = Object.keys(filters).length > 0
  const clear = () => void navigate({ to: '/jobs', search: {} })
  return (
    <Page title={t('title')}>
      <Filters filters={filters} />
      <Selection rows={rows} selected={selected} select={select} filters={filters} />
      {query.isError && data === undefined ? (
        <Problem error={query.error} onRetry={() => void query.refetch()} />
      ) : data === undefined ? (
        <Skeleton label={c('loading')} rows={12} />
      ) : rows.count === 0 ? (
        isFiltered ? (
          <Empty title={t('noneFound')} action={<Button onClick={clear}>{t('clear')}</Button>}>
            {t('noneFoundHint')}
          </Empty>
        ) : (
          <Empty title={t('noneYet')}>{t('noneYetHint')}</Empty>
        )
      ) : (
        <Rows
          count={rows.count}
          label={t('title')}
          head={<JobHead rows={rows} selected={selected} select={select} />}
          keyOf={(index) => rows.at(index)?.id ?? String(index)}
          row={(index) => {
            const row = rows.at(index)
            return (
              row && (
                <JobLine
                  row={row}
                  isSelected={selected.has(row.id)}
                  toggle={toggle}
                  onOpen={onOpen}
                  now={now}
                />
              )
            )
          }}
          onEnd={onEnd}
          current={current}
        />
      )}
    </Page>
  )
}

/** The row that `j` and `k` have moved to. */
function useRowKeys(rows: JobRows, toggle: (id: string) => void): number {
  const navigate = useNavigate()
  const [current, setCurrent] = useState(-1)
  const keys = useMemo(
    () => ({
      j: () => setCurrent((at) => Math.min(rows.count - 1, at + 1)),
      k: () => setCurrent((at) => Math.max(0, at - 1)),
      x: () => {
        const row = rows.at(current)
        if (row) toggle(row.id)
      },
      Enter: () => {
        const row = rows.at(current)
        if (row) void navigate({ to: '/jobs/$id', params: { id: row.id } })
      },
      '/': () => document.getElementById('filter-label')?.focus(),
    }),
    [rows, current, navigate, toggle],
  )
  useKeys(keys)
  return current
}
