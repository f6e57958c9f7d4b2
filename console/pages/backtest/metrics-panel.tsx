import type { BacktestResult } from '../../api/results.ts'
import { Explained } from '../../parts/best-point.tsx'
import { useFigure } from '../../text/figures.ts'
import { useText } from '../../text/language.tsx'
import { metricHelp, metricTexts, results } from '../../text/results.ts'
import { Panel } from '../../ui/page.tsx'

const groups = [
  ['group_return', ['total_return', 'annual_return', 'final_equity']],
  ['group_risk', ['annual_volatility', 'max_drawdown', 'max_drawdown_bars']],
  ['group_ratio', ['sharpe', 'sortino', 'calmar']],
  ['group_trading', ['trades', 'open_trades', 'win_rate', 'profit_factor', 'exposure', 'turnover', 'fees']],
] as const

export function MetricsPanel({ result }: { result: BacktestResult }) {
  const t = useText(results)
  const m = useText(metricTexts)
  const h = useText(metricHelp)
  const figure = useFigure()
  const { metrics } = result.best
  const several = result.data.symbols.length > 1 && result.effective_spec.portfolio?.mode !== 'shared'
  return (
    <Panel title={t('metrics')}>
      <div className="grid sm:grid-cols-2">
        {groups.map(([group, names]) => (
          <section key={group} className="px-4 py-3">
            <h3 className="mb-1 text-xs font-medium text-faint">{t(group)}</h3>
            <dl>
              {names.map((name) => (
                <div key={name} className="flex min-h-7 items-center justify-between gap-3 text-[13px]">
                  <dt className="min-w-0 text-muted">
                    <Explained help={h(name)}>{m(name)}</Explained>
                  </dt>
                  <dd className="tnum font-medium">{figure(name, metrics[name])}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      {several ? (
        <p className="px-4 pb-3 text-xs text-muted">{t('metricsMean', { n: result.data.symbols.length })}</p>
      ) : null}
    </Panel>
  )
}
