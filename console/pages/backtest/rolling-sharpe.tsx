import { useMemo } from 'react'
import type { BacktestResult, Series } from '../../api/results.ts'
import { Lines } from '../../charts/lines.tsx'
import { number } from '../../text/figures.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import type { Language } from '../../text/texts.ts'
import { results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'
import { column, greatestOf, leastOf, rollingSharpe } from './shape.ts'

/** Half a year: shorter ones say more of chance. */
const windowOf = (periods: number) => Math.max(2, Math.round(periods / 2))
const two = (value: number, language: Language) => number(value, language, 2)

export function RollingSharpe({ found, result }: { found: Series; result: BacktestResult }) {
  const t = useText(results)
  const language = useLanguage()
  const { periods_per_year: periods = 252, risk_free = 0 } = result.effective_spec
  const window = windowOf(periods)
  const values = useMemo(
    () =>
      rollingSharpe(column(found, 'equity'), {
        cash: found.cash ?? 0,
        periods,
        risk_free,
        window,
      }),
    [found, periods, risk_free, window],
  )
  const lines = useMemo(() => [{ name: t('rolling'), values }], [t, values])
  if (found.sampled || found.cash === null)
    return (
      <Panel title={t('rolling')}>
        <p className="px-4 py-6 text-[13px] text-muted">{t('tooManyDates')}</p>
      </Panel>
    )
  return (
    <Lines
      title={t('rolling')}
      about={t('rollingAbout', {
        window,
        low: two(leastOf(values) ?? 0, language),
        high: two(greatestOf(values) ?? 0, language),
      })}
      dates={found.series.date}
      lines={lines}
      level={0}
      format={two}
      date_name={t('date')}
      height={380}
      note={t('rollingNote', { window, P: periods, rf: risk_free })}
    />
  )
}
