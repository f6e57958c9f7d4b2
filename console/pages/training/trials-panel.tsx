import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { isMinimised, type Table, tableQuery, type TrainingResult } from '../../api/results.ts'
import { Scatter } from '../../charts/scatter.tsx'
import { figure, plainNumber, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { trainingTexts } from '../../text/training.ts'
import { Select } from '../../ui/field.tsx'
import { Left } from './left.tsx'

/** A thousand trials in ten searches. */
const most = 10_000

interface TrialsPanelProps {
  job_id: string
  result: TrainingResult
}

export function TrialsPanel({ job_id, result }: TrialsPanelProps) {
  const t = useText(trainingTexts)
  const query = useQuery(tableQuery(useApi(), job_id, 'trials.parquet', { max_rows: most }))
  return (
    <Left query={query} title={t('trials')} none={t('noTrials')}>
      {(found) => <Trials found={found} objective={result.effective_spec.search?.objective ?? 'rmse'} />}
    </Left>
  )
}

interface Trial {
  trial: number
  objective: number
  params: Readonly<Record<string, number | string | null>>
}

function Trials({ found, objective }: { found: Table; objective: string }) {
  const t = useText(trainingTexts)
  const language = useLanguage()
  const name = useMetricName()
  const searches = useMemo(() => [...new Set(found.columns['fold'])].map((fold) => String(fold)), [found])
  // The final search has no fold.
  const [search, setSearch] = useState(searches.includes('null') ? 'null' : (searches[0] ?? ''))
  const trials = useMemo(() => trialsOf(found, search), [found, search])
  const best = useMemo(() => bestSoFar(trials, isMinimised(objective)), [trials, objective])
  const clouds = useMemo(
    () => [
      { name: t('trials'), pairs: trials.map(({ trial, objective: value }) => [trial, value] as const) },
    ],
    [t, trials],
  )
  const lines = useMemo(() => [{ name: t('bestSoFar'), look: 'step' as const, pairs: best }], [t, best])
  const axes = useMemo(
    () => ({
      x: { name: t('trial'), format: (value: number) => plainNumber(value, language) },
      y: { name: name(objective), format: (value: number) => figure(objective, value, language) },
    }),
    [t, name, objective, language],
  )
  const params = Object.keys(trials[0]?.params ?? {})
  return (
    <Scatter
      title={`${t('trials')} · ${name(objective)}`}
      about={t('trialsAbout', { n: trials.length, best: axes.y.format(best.at(-1)?.[1] ?? 0) })}
      clouds={clouds}
      lines={lines}
      {...axes}
      note={t('trialsNote')}
      actions={
        <Select
          aria-label={t('search')}
          className="w-auto!"
          value={search}
          onChange={({ target }) => setSearch(target.value)}
        >
          {searches.map((each) => (
            <option key={each} value={each}>
              {each === 'null' ? t('finalSearch') : t('fold', { n: each })}
            </option>
          ))}
        </Select>
      }
      numbers={() => ({
        head: [t('trial'), name(objective), ...params],
        rows: trials.map(({ trial, objective: value, params: own }) => [
          trial,
          axes.y.format(value),
          ...params.map((each) => shown(own[each], language)),
        ]),
      })}
    />
  )
}

const shown = (value: number | string | null | undefined, language: 'en' | 'zh-CN') =>
  typeof value === 'number' ? plainNumber(Number(value.toPrecision(4)), language) : (value ?? null)

const own: ReadonlySet<string> = new Set(['fold', 'trial', 'state', 'objective'])

/** Of one search those that came to an objective; pruned ones did not. */
function trialsOf({ columns }: Table, search: string): Trial[] {
  const { fold = [], trial = [], objective = [] } = columns
  const params = Object.keys(columns).filter((name) => !own.has(name))
  return fold.flatMap((each, at) => {
    const [number, value] = [trial[at], objective[at]]
    if (String(each) !== search || typeof number !== 'number' || typeof value !== 'number') return []
    return [
      {
        trial: number,
        objective: value,
        params: Object.fromEntries(params.map((name) => [name, columns[name]?.[at] ?? null])),
      },
    ]
  })
}

function bestSoFar(trials: readonly Trial[], least: boolean) {
  let best: number | undefined
  return trials.map(({ trial, objective }) => {
    best = best === undefined ? objective : least ? Math.min(best, objective) : Math.max(best, objective)
    return [trial, best] as const
  })
}
