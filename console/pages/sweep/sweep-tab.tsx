// A sweep, also while it runs: where its good points lie, and what they are.
import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { backtestResult, isMinimised, pointsQuery, variedParameters } from '../../api/results.ts'
import type { Job } from '../../api/types.ts'
import { BestPoint } from '../../parts/best-point.tsx'
import { Asked } from '../../parts/problem.tsx'
import { useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Empty } from '../../ui/states.tsx'
import { PartsPanel } from './parts-panel.tsx'
import { PointsPanel } from './points-panel.tsx'
import { PointsParallel } from './points-parallel.tsx'
import { SurfacePanel } from './surface-panel.tsx'

/** While it runs its best points change; each part tells of them every few seconds. */
const look_ms = 5_000

export function SweepTab({ job }: { job: Job }) {
  const t = useText(sweepTexts)
  const result = backtestResult(job)
  const parameters = useMemo(() => variedParameters(job), [job])
  const { search } = job.params as { search?: { objective?: string } }
  const objective = search?.objective ?? 'sharpe'
  const isOver = job.finished_at !== null
  const best = isMinimised(objective) ? 'objective' : '-objective'
  const [sort, setSort] = useState(best)
  const [chosen, setChosen] = useState<ReadonlySet<number> | null>(null)
  // The marks on the axes go with the chart.
  const [turn, setTurn] = useState(0)
  const query = useInfiniteQuery({
    ...pointsQuery(useApi(), job.id, sort),
    refetchInterval: isOver ? false : look_ms,
    staleTime: isOver ? Number.POSITIVE_INFINITY : 0,
  })
  const { refetch } = query
  // The last points come with the end.
  useEffect(() => {
    if (isOver) void refetch()
  }, [isOver, refetch])
  const points = useMemo(() => query.data?.pages.flatMap(({ items }) => items) ?? [], [query.data])
  return (
    <div className="flex flex-col gap-4 p-4">
      {result === null ? <NotYet isOver={isOver} /> : <BestPoint result={result} />}
      {job.shards.total > 1 ? <PartsPanel job={job} /> : null}
      <Asked query={query} rows={10}>
        {() =>
          points.length === 0 ? (
            <Empty title={t('noPoints')}>{t('noPointsHint')}</Empty>
          ) : (
            <>
              <SurfacePanel job={job} parameters={parameters} objective={objective} points={points} />
              <PointsParallel
                key={turn}
                points={points}
                parameters={parameters}
                objective={objective}
                onChosen={setChosen}
              />
              <PointsPanel
                points={points}
                parameters={parameters}
                sort={sort}
                best={best}
                onSort={setSort}
                chosen={chosen}
                onAll={() => {
                  setChosen(null)
                  setTurn(turn + 1)
                }}
                onEnd={() => {
                  if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage()
                }}
              />
            </>
          )
        }
      </Asked>
    </div>
  )
}

/** A best point is shown with what luck makes of it, which is known at the end alone. */
function NotYet({ isOver }: { isOver: boolean }) {
  const t = useText(sweepTexts)
  return (
    <p className="rounded-lg border border-line bg-warn-wash px-4 py-3 text-[13px]">
      {isOver ? t('noLuck') : t('notYet')}
    </p>
  )
}
