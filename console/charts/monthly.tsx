// Returns by month and year, as every tear sheet has them: a table of coloured cells that is read as a table.
import { type CSSProperties, useMemo } from 'react'
import type { Series } from '../api/results.ts'
import { column, type Month, monthlyReturns, yearReturn } from '../pages/backtest/shape.ts'
import { share } from '../text/figures.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { results } from '../text/results.ts'
import { Panel } from '../ui/page.tsx'
import { type Colours, useColours } from './colours.ts'

/** A tenth in a month is as deep as the colour gets. */
const deepest = 0.1

export function MonthlyReturns({ found }: { found: Series }) {
  const t = useText(results)
  const language = useLanguage()
  const colours = useColours()
  const { date } = found.series
  const months = useMemo(() => monthlyReturns(date, column(found, 'equity'), found.cash ?? 0), [date, found])
  const years = useMemo(() => Map.groupBy(months, ({ year }) => year), [months])
  const names = useMemo(() => {
    const format = new Intl.DateTimeFormat(language, { month: 'short', timeZone: 'UTC' })
    return Array.from({ length: 12 }, (_, month) => format.format(Date.UTC(2020, month, 15)))
  }, [language])
  return (
    <Panel title={t('monthly')}>
      {found.sampled || found.cash === null ? (
        <p className="px-4 py-6 text-[13px] text-muted">{t('tooManyDates')}</p>
      ) : (
        <>
          <div className="overflow-x-auto px-4 pt-3" tabIndex={0} role="region" aria-label={t('monthly')}>
            <table className="w-full min-w-150 border-separate border-spacing-0.5 text-xs">
              <thead>
                <tr className="text-muted">
                  <th scope="col" className="w-10 text-left font-medium">
                    {t('year')}
                  </th>
                  {names.map((name) => (
                    <th key={name} scope="col" className="h-6 font-medium">
                      {name}
                    </th>
                  ))}
                  <th scope="col" className="font-medium">
                    {t('yearTotal')}
                  </th>
                </tr>
              </thead>
              <tbody>
                {[...years].toReversed().map(([year, own]) => (
                  <YearRow key={year} year={year} months={own} colours={colours} />
                ))}
              </tbody>
            </table>
          </div>
          <p className="px-4 pt-2 pb-3 text-xs text-muted">{t('monthlyNote')}</p>
        </>
      )}
    </Panel>
  )
}

function YearRow({ year, months, colours }: { year: number; months: readonly Month[]; colours: Colours }) {
  const language = useLanguage()
  return (
    <tr>
      <th scope="row" className="tnum text-left font-medium text-muted">
        {year}
      </th>
      {Array.from({ length: 12 }, (_, at) => {
        const value = months.find(({ month }) => month === at)?.value
        return (
          <td
            key={at}
            className="tnum h-7 rounded-sm text-center"
            style={value === undefined ? undefined : cell(value, colours)}
          >
            {value === undefined ? '' : share(value, language, 1)}
          </td>
        )
      })}
      <td className="tnum pl-2 text-right font-semibold">{share(yearReturn(months), language, 1)}</td>
    </tr>
  )
}

/** Text keeps its colour: the wash behind it stays pale enough for both themes. */
const cell = (value: number, { up, down }: Colours): CSSProperties => {
  const depth = Math.round(Math.min(1, Math.abs(value) / deepest) * 42)
  return { background: `color-mix(in srgb, ${value < 0 ? down : up} ${depth}%, transparent)` }
}
