import { useCallback, useMemo } from 'react'
import type { Point } from '../../api/results.ts'
import { Parallel } from '../../charts/parallel.tsx'
import { useMetricName } from '../../text/figures.ts'
import { useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { parallelOf } from './shape.ts'

interface PointsParallelProps {
  points: readonly Point[]
  parameters: readonly string[]
  objective: string
  onChosen: (points: ReadonlySet<number> | null) => void
}

export function PointsParallel({ points, parameters, objective, onChosen }: PointsParallelProps) {
  const t = useText(sweepTexts)
  const name = useMetricName()
  const data = useMemo(
    () => parallelOf(points, parameters, objective, name),
    [points, parameters, objective, name],
  )
  const onRows = useCallback(
    (rows: readonly number[] | null) =>
      onChosen(rows === null ? null : new Set(rows.map((row) => points[row]?.point ?? -1))),
    [points, onChosen],
  )
  return <Parallel data={data} onChosen={onRows} note={t('parallelNote')} />
}
