import { useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { isMinimised, type Point, surfaceQuery } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { SurfaceChart, type SurfaceData } from '../../charts/surface.tsx'
import { Asked } from '../../parts/problem.tsx'
import { figure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Select } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { surfaceOf } from './shape.ts'

const values = [
  'objective',
  'sharpe',
  'sortino',
  'calmar',
  'total_return',
  'annual_return',
  'max_drawdown',
  'trades',
  'win_rate',
  'turnover',
] as const
const reductions = ['max', 'min', 'mean'] as const

interface SurfacePanelProps {
  job: Job
  parameters: readonly string[]
  objective: string
  points: readonly Point[]
}

/** Of a sweep that has ended all of its points, else the best so far. */
export function SurfacePanel({ job, parameters, objective, points }: SurfacePanelProps) {
  const t = useText(sweepTexts)
  const [x, setX] = useState(parameters[0] ?? '')
  const [y, setY] = useState(parameters[1] ?? '')
  const [value, setValue] = useState<string>('objective')
  const metric = value === 'objective' ? objective : value
  const [reduce, setReduce] = useState<(typeof reductions)[number]>(isMinimised(metric) ? 'min' : 'max')
  const isOver = job.finished_at !== null
  const query = useQuery({
    ...surfaceQuery(useApi(), job.id, { x, y, value, reduce }),
    enabled: isOver && parameters.length > 1,
  })
  const partial = useMemo(() => surfaceOf(points, { x, y, value, reduce }), [points, x, y, value, reduce])
  const language = useLanguage()
  const name = useMetricName()
  const format = useCallback((each: number) => figure(metric, each, language), [metric, language])
  if (parameters.length < 2)
    return (
      <Panel title={t('surface')}>
        <p className="px-4 py-4 text-[13px] text-muted">{t('oneParameter')}</p>
      </Panel>
    )
  const choose = (
    label: string,
    chosen: string,
    options: readonly string[],
    change: (to: string) => void,
  ) => (
    <Select
      aria-label={label}
      className="w-auto! max-w-36"
      value={chosen}
      onChange={({ target }) => change(target.value)}
    >
      {options.map((option) => (
        <option key={option} value={option}>
          {option in sweepTexts ? t(option as 'max') : name(option)}
        </option>
      ))}
    </Select>
  )
  const actions = (
    <div className="flex flex-wrap gap-2">
      {choose(t('value'), value, values, setValue)}
      {parameters.length > 2 ? (
        <>
          {choose(
            t('x'),
            x,
            parameters.filter((each) => each !== y),
            setX,
          )}
          {choose(
            t('y'),
            y,
            parameters.filter((each) => each !== x),
            setY,
          )}
          {choose(t('reduce'), reduce, reductions, (to) => setReduce(to as 'max'))}
        </>
      ) : null}
    </div>
  )
  const shown = (data: SurfaceData, note: string) => (
    <SurfaceChart
      data={data}
      value_name={name(metric)}
      format={format}
      least_is_best={isMinimised(metric)}
      actions={actions}
      note={note}
    />
  )
  if (!isOver) return shown(partial, t('soFar'))
  return (
    <Asked query={query}>
      {(found) => shown(found, t('surfaceNote', { n: found.points, reduce: t(reduce) }))}
    </Asked>
  )
}
