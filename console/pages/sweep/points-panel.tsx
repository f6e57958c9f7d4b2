import { useMemo } from 'react'
import type { Point } from '../../api/results.ts'
import { plainNumber, useFigure, useMetricName } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Button } from '../../ui/button.tsx'
import { Select } from '../../ui/field.tsx'
import { Panel } from '../../ui/page.tsx'
import { Rows } from '../../ui/rows.tsx'
import { valueOf } from './shape.ts'

const shown = ['sharpe', 'annual_return', 'max_drawdown', 'trades', 'win_rate'] as const

interface PointsPanelProps {
  points: readonly Point[]
  parameters: readonly string[]
  sort: string
  /** The order in which the best come first. */
  best: string
  onSort: (sort: string) => void
  chosen: ReadonlySet<number> | null
  /** Chooses no longer. */
  onAll: () => void
  onEnd: () => void
}

export function PointsPanel({
  points,
  parameters,
  sort,
  best,
  onSort,
  chosen,
  onAll,
  onEnd,
}: PointsPanelProps) {
  const t = useText(sweepTexts)
  const rows = useMemo(
    () => (chosen === null ? points : points.filter(({ point }) => chosen.has(point))),
    [points, chosen],
  )
  const worst = best === 'objective' ? '-objective' : 'objective'
  // As many columns as parameters, each as wide as its name.
  const columns = {
    gridTemplateColumns: `4.5rem repeat(${parameters.length}, minmax(4.5rem, 1fr)) 6rem repeat(${shown.length}, 6rem)`,
  }
  return (
    <Panel
      title={`${t('points')}${chosen === null ? '' : ` · ${t('chosen', { n: rows.length })}`}`}
      actions={
        <>
          {chosen === null ? null : (
            <Button small onClick={onAll}>
              {t('showAll')}
            </Button>
          )}
          <Select
            aria-label={t('points')}
            className="w-auto!"
            value={sort}
            onChange={({ target }) => onSort(target.value)}
          >
            <option value={best}>{t('best_first')}</option>
            <option value={worst}>{t('worst_first')}</option>
            <option value="point">{t('by_number')}</option>
          </Select>
        </>
      }
    >
      <div className="flex h-96 flex-col">
        <Rows
          count={rows.length}
          label={t('points')}
          head={<Head parameters={parameters} columns={columns} />}
          keyOf={(index) => String(rows[index]?.point ?? index)}
          row={(index) => {
            const point = rows[index]
            return point && <Line point={point} parameters={parameters} columns={columns} />
          }}
          onEnd={onEnd}
        />
      </div>
      <p className="px-4 py-2 text-xs text-muted">{t('shownOf')}</p>
    </Panel>
  )
}

interface LineProps {
  parameters: readonly string[]
  columns: { gridTemplateColumns: string }
}
const line = 'grid h-full w-max min-w-full items-center gap-3 px-4'

function Head({ parameters, columns }: LineProps) {
  const t = useText(sweepTexts)
  const name = useMetricName()
  return (
    <div role="row" className={`${line} h-8! text-xs text-muted`} style={columns}>
      {[t('point'), ...parameters, name('objective'), ...shown.map(name)].map((text, at) => (
        <span key={text} role="columnheader" className={at === 0 ? '' : 'text-right'}>
          {text}
        </span>
      ))}
    </div>
  )
}

function Line({ point, parameters, columns }: LineProps & { point: Point }) {
  const language = useLanguage()
  const figure = useFigure()
  return (
    <div className={line} style={columns}>
      <span role="cell" className="tnum text-muted">
        {point.point}
      </span>
      {parameters.map((name) => {
        const value = point.parameters[name]
        return (
          <span key={name} role="cell" className="tnum text-right">
            {typeof value === 'number' ? plainNumber(value, language) : '–'}
          </span>
        )
      })}
      <span role="cell" className="tnum text-right font-semibold">
        {figure('objective', point.objective)}
      </span>
      {shown.map((name) => (
        <span key={name} role="cell" className="tnum text-right">
          {figure(name, valueOf(point, name))}
        </span>
      ))}
    </div>
  )
}
