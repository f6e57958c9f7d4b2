import { memo, type MouseEvent } from 'react'
import type { JobRow, JobRows } from '../../api/job-rows.ts'
import { StateWord } from '../../parts/state.tsx'
import { duration, percent } from '../../text/format.ts'
import { jobsTexts } from '../../text/jobs.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Money } from '../../ui/money.tsx'
import { QuickAgo, useNow } from '../../ui/time.tsx'

/** Columns by the width of the window: what says most stays. */
const line =
  'grid h-full items-center gap-3 px-4 grid-cols-[1rem_minmax(0,1fr)_6.5rem] ' +
  'md:grid-cols-[1rem_minmax(0,1fr)_7rem_8rem_5.5rem_7.5rem] xl:grid-cols-[1rem_minmax(0,1fr)_7rem_9rem_minmax(8rem,14rem)_6rem_6.5rem_8rem]'

interface HeadProps {
  rows: JobRows
  selected: ReadonlySet<string>
  select: (selected: ReadonlySet<string>) => void
}

export function JobHead({ rows, selected, select }: HeadProps) {
  const t = useText(jobsTexts)
  const all = rows.count > 0 && selected.size >= rows.count
  return (
    <div role="row" className={`${line} h-8! text-xs text-muted`}>
      <span role="columnheader">
        <input
          type="checkbox"
          aria-label={t('selectAll')}
          className="size-4 accent-accent"
          checked={all}
          onChange={() => select(all ? new Set() : new Set(rows.ids()))}
        />
      </span>
      <span role="columnheader">{t('job')}</span>
      <span role="columnheader">{t('state')}</span>
      <span role="columnheader" className="hidden md:block">
        {t('progress')}
      </span>
      <span role="columnheader" className="hidden xl:block">
        {t('place')}
      </span>
      <span role="columnheader" className="hidden text-right xl:block">
        {t('took')}
      </span>
      <span role="columnheader" className="hidden text-right md:block">
        {t('cost')}
      </span>
      <span role="columnheader" className="hidden text-right md:block">
        {t('created')}
      </span>
    </div>
  )
}

interface LineProps {
  row: JobRow
  isSelected: boolean
  toggle: (id: string) => void
  onOpen: (id: string) => void
  /** Moved on now and then, for all rows at once. */
  now: Date
}

export const JobLine = memo(function JobLine({ row, isSelected, toggle, onOpen, now }: LineProps) {
  const t = useText(jobsTexts)
  return (
    <div className={line}>
      <span role="cell">
        <input
          type="checkbox"
          className="size-4 accent-accent"
          aria-label={t('select', { name: row.name ?? row.id })}
          checked={isSelected}
          onChange={() => toggle(row.id)}
        />
      </span>
      <span role="cell" className="flex min-w-0 items-center gap-2">
        <a
          href={`/jobs/${row.id}`}
          onClick={(event) => {
            if (!isPlain(event)) return
            event.preventDefault()
            onOpen(row.id)
          }}
          className="truncate font-medium hover:underline"
          title={row.id}
        >
          {row.name ?? row.id}
        </a>
        <span className="hidden shrink-0 text-muted sm:inline">{row.kind}</span>
        {row.shards > 1 ? (
          <span className="hidden shrink-0 text-muted lg:inline">{t('shards', { n: row.shards })}</span>
        ) : null}
        {row.cached_from === null ? null : <Badge>{t('cached')}</Badge>}
        <span className="hidden min-w-0 gap-1 overflow-hidden lg:flex">
          {Object.entries(row.labels)
            .slice(0, 3)
            .map(([name, value]) => (
              <Badge key={name}>
                {name}:{value}
              </Badge>
            ))}
        </span>
      </span>
      <span role="cell" title={row.error ?? undefined}>
        <StateWord state={row.state} />
      </span>
      <span role="cell" className="hidden md:block">
        <Progress row={row} />
      </span>
      <span role="cell" className="hidden truncate text-muted xl:block">
        {row.place}
      </span>
      <span role="cell" className="hidden text-right xl:block">
        <Took row={row} />
      </span>
      <span role="cell" className="hidden text-right md:block">
        {row.usd === 0 ? <span className="text-faint">–</span> : <Money usd={row.usd} />}
      </span>
      <span role="cell" className="hidden text-right text-muted md:block">
        <QuickAgo at={row.created_at} now={now} />
      </span>
    </div>
  )
})

/** A click that asks for no new window or tab. */
const isPlain = ({ button, metaKey, ctrlKey, shiftKey, altKey }: MouseEvent) =>
  button === 0 && !metaKey && !ctrlKey && !shiftKey && !altKey

function Progress({ row: { state, progress, phase } }: { row: JobRow }) {
  const language = useLanguage()
  if (state !== 'running' && state !== 'scheduled') return null
  return (
    <span className="flex items-center gap-2" title={phase ?? undefined}>
      <span className="h-1 flex-1 overflow-hidden rounded-full bg-idle-wash">
        <span className="block h-full rounded-full bg-live" style={{ width: `${progress * 100}%` }} />
      </span>
      <span className="tnum w-9 text-right text-xs text-muted">{percent(progress, language)}</span>
    </span>
  )
}

function Took({ row: { started_at, finished_at } }: { row: JobRow }) {
  const language = useLanguage()
  if (started_at === null) return <span className="text-faint">–</span>
  if (finished_at === null) return <Running since={started_at} />
  return <span className="tnum">{duration(secondsTo(started_at, new Date(finished_at)), language)}</span>
}

function Running({ since }: { since: string }) {
  const language = useLanguage()
  const now = useNow(1_000)
  return <span className="tnum">{duration(secondsTo(since, now), language)}</span>
}

const secondsTo = (from: string, to: Date) => (to.getTime() - new Date(from).getTime()) / 1_000
