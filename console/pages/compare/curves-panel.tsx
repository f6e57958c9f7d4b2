import { useQueries } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useApi } from '../../api/context.tsx'
import { type BacktestResult, seriesQuery } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { Lines } from '../../charts/lines.tsx'
import { Problem } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { compareTexts } from '../../text/compare.ts'
import { number } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import type { Language } from '../../text/texts.ts'
import { results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'
import { Skeleton } from '../../ui/states.tsx'
import { rebased } from './shape.ts'

export interface Compared {
  job: Job
  result: BacktestResult
}
const one = (value: number, language: Language) => number(value, language, 1)

export function CurvesPanel({ backtests }: { backtests: readonly Compared[] }) {
  const t = useText(compareTexts)
  const c = useText(common)
  const r = useText(results)
  const language = useLanguage()
  const api = useApi()
  const wanted = { rank: 1, columns: ['equity'] as const, max_points: 10_000 }
  const found = useQueries({
    queries: backtests.map(({ job }) => seriesQuery(api, job.id, wanted)),
    combine: (queries) => ({
      error: queries.find(({ error }) => error !== null)?.error ?? null,
      curves: queries.flatMap(({ data }) => (data === undefined ? [] : [data])),
    }),
  })
  const { curves, error } = found
  const drawn = useMemo(
    () => (curves.length === backtests.length ? rebased(curves) : null),
    [curves, backtests.length],
  )
  const lines = useMemo(
    () =>
      (drawn?.values ?? []).map((values, at) => ({
        name: backtests[at]?.job.name ?? backtests[at]?.job.id ?? '',
        values,
      })),
    [drawn, backtests],
  )
  if (error !== null) return <Problem error={error} />
  if (curves.length < backtests.length) return <Skeleton label={c('loading')} rows={8} />
  if (drawn === null)
    return (
      <Panel title={t('curves')}>
        <p className="px-4 py-4 text-[13px] text-muted">{t('noCommon')}</p>
      </Panel>
    )
  const [first = '', last = ''] = [drawn.dates[0], drawn.dates.at(-1)]
  const ends = lines.map(({ values }) => values.at(-1) ?? 0)
  return (
    <Lines
      title={t('curves')}
      about={t('curvesAbout', {
        n: lines.length,
        first,
        low: one(Math.min(...ends), language),
        high: one(Math.max(...ends), language),
      })}
      dates={drawn.dates}
      lines={lines}
      level={100}
      format={one}
      date_name={r('date')}
      height={400}
      note={t('curvesNote', { first, last })}
    />
  )
}
