// What is done to many jobs at once.
import { useMemo, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import type { JobRows } from '../../api/job-rows.ts'
import type { JobFilters } from '../../api/jobs.ts'
import { useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { jobsTexts } from '../../text/jobs.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { useToast } from '../../ui/toast.tsx'

interface SelectionProps {
  rows: JobRows
  selected: ReadonlySet<string>
  select: (selected: ReadonlySet<string>) => void
  filters: JobFilters
}

export function Selection({ rows, selected, select, filters }: SelectionProps) {
  const t = useText(jobsTexts)
  const c = useText(common)
  const mayNot = useWhyNot('member')
  const toast = useToast()
  const [asks, ask] = useState<'selected' | 'matching' | null>(null)
  const atWork = useMemo(() => (selected.size > 0 ? rows.atWork(selected) : []), [rows, selected])
  const cancel = useCancel(filters, (n) => {
    ask(null)
    select(new Set())
    toast(t('cancelled', { n }))
  })
  const isFiltered = Object.keys(filters).length > 0
  if (selected.size === 0 && !isFiltered) return null
  const named = Object.entries(filters)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ')
  return (
    <div className="flex min-h-11 flex-wrap items-center gap-2 border-b border-line bg-surface px-4 py-1.5 text-[13px]">
      {selected.size > 0 ? (
        <>
          <span className="font-medium">{t('selected', { n: selected.size })}</span>
          <Button
            small
            look="danger"
            why_not={mayNot ?? (atWork.length === 0 ? t('nothingToCancel') : null)}
            onClick={() => ask('selected')}
          >
            {t('cancelSelected')}
          </Button>
        </>
      ) : (
        <Button small look="danger" why_not={mayNot} onClick={() => ask('matching')}>
          {t('cancelMatching')}
        </Button>
      )}
      <Dialog
        open={asks !== null}
        onClose={() => ask(null)}
        title={t('cancelTitle')}
        close_label={c('close')}
        about={
          asks === 'selected'
            ? t('cancelSelectedAbout', { n: atWork.length })
            : t('cancelMatchingAbout', { filters: named })
        }
      >
        <DialogActions>
          <Button onClick={() => ask(null)}>{t('keepThem')}</Button>
          <Button
            look="danger"
            busy={cancel.isPending}
            onClick={() => cancel.mutate(asks === 'selected' ? atWork : null)}
          >
            {t('cancelThem')}
          </Button>
        </DialogActions>
      </Dialog>
    </div>
  )
}

/** A page of the API's answer is a thousand jobs; a project's queue is bounded. */
const maxPages = 100

/** Cancels the jobs that are named, or all that the filters find. */
function useCancel(filters: JobFilters, onDone: (count: number) => void) {
  const { routes } = useApi()
  return useOrder(
    async (ids: readonly string[] | null) => {
      if (ids !== null) {
        for (const id of ids) await answered(routes.v1.jobs[':id'].cancel.$post({ param: { id } }))
        return ids.length
      }
      let sum = 0
      let cursor: string | null = null
      for (let page = 0; page < maxPages; page++) {
        const json: JobFilters & { cursor?: string } = { ...filters, ...(cursor === null ? {} : { cursor }) }
        const { cancelled, next_cursor }: { cancelled: number; next_cursor: string | null } = await answered(
          routes.v1.jobs.cancel.$post({ json }),
        )
        sum += cancelled
        cursor = next_cursor
        if (cursor === null) break
      }
      return sum
    },
    { changes: [['jobs']], onDone },
  )
}
