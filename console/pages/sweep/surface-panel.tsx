import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { isMinimised, type Point, surfaceQuery } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { SurfaceChart } from '../../charts/surface.tsx'
import { Asked } from '../../parts/problem.tsx'
import { figure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Select } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { type SurfaceData, surfaceOf } from './shape.ts'

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

interface Chosen {
  x: string
  y: string
  value: string
  reduce: (typeof reductions)[number]
}

/** Of a sweep that has ended all of its points, else the best so far. */
export function SurfacePanel({ job, parameters, objective, points }: SurfacePanelProps) {
  const t = useText(sweepTexts)
  const [chosen, choose] = useState<Chosen>({
    x: parameters[0] ?? '',
    y: parameters[1] ?? '',
    value: 'objective',
    reduce: isMinimised(objective) ? 'min' : 'max',
  })
  const isOver = job.finished_at !== null
  const query = useQuery({
    ...surfaceQuery(useApi(), job.id, chosen),
    enabled: isOver && parameters.length > 1,
    placeholderData: keepPreviousData,
  })
  const partial = useMemo(() => surfaceOf(points, chosen), [points, chosen])
  const language = useLanguage()
  const name = useMetricName()
  const metric = chosen.value === 'objective' ? objective : chosen.value
  const format = useCallback((each: number) => figure(metric, each, language), [metric, language])
  if (parameters.length < 2)
    return (
      <Panel title={t('surface')}>
        <p className="px-4 py-4 text-[13px] text-muted">{t('oneParameter')}</p>
      </Panel>
    )
  const shown = (data: SurfaceData, note: string) => (
    <SurfaceChart
      data={data}
      value_name={name(metric)}
      format={format}
      least_is_best={isMinimised(metric)}
      actions={<Choices chosen={chosen} choose={choose} parameters={parameters} />}
      note={note}
    />
  )
  if (!isOver) return shown(partial, t('soFar'))
  return (
    <Asked query={query}>
      {(found) => shown(found, t('surfaceNote', { n: found.points, reduce: t(chosen.reduce) }))}
    </Asked>
  )
}

interface ChoicesProps {
  chosen: Chosen
  choose: (chosen: Chosen) => void
  parameters: readonly string[]
}

/** Which parameters, where there are more than two, and which figure of what is put together. */
function Choices({ chosen, choose, parameters }: ChoicesProps) {
  const t = useText(sweepTexts)
  const name = useMetricName()
  const select = (field: keyof Chosen, options: readonly string[], shown: (option: string) => string) => (
    <Select
      aria-label={t(field)}
      className="w-auto! max-w-36"
      value={chosen[field]}
      onChange={({ target }) => choose({ ...chosen, [field]: target.value })}
    >
      {options.map((option) => (
        <option key={option} value={option}>
          {shown(option)}
        </option>
      ))}
    </Select>
  )
  const others = (taken: string) => parameters.filter((each) => each !== taken)
  return (
    <div className="flex flex-wrap gap-2">
      {select('value', values, name)}
      {parameters.length > 2 ? (
        <>
          {select('x', others(chosen.y), String)}
          {select('y', others(chosen.x), String)}
          {select('reduce', reductions, (option) => t(option as Chosen['reduce']))}
        </>
      ) : null}
    </div>
  )
}
