import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi, useBerth } from '../api/context.tsx'
import { budgetsQuery, dayOf, daysAgo, monthStart, usageQuery } from '../api/overview.ts'
import { orphansQuery } from '../api/providers.ts'
import { money } from '../text/format.ts'
import { overviewTexts } from '../text/overview.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { Money } from '../ui/money.tsx'
import { DayBars, Meter, Stat } from '../ui/stat.tsx'

const shownDays = 30

function useDays() {
  const { api, clock } = useBerth()
  const now = clock()
  const { data } = useQuery(usageQuery(api, { group_by: 'day', from: daysAgo(now, shownDays - 1) }))
  const by_day = new Map<string, number>()
  for (const { group, usd } of data?.items ?? [])
    by_day.set(group.slice(0, 10), (by_day.get(group.slice(0, 10)) ?? 0) + usd)
  const days = Array.from({ length: shownDays }, (_, n) => {
    const day = dayOf(new Date(now.getTime() - (shownDays - 1 - n) * 86_400_000))
    return { day, value: by_day.get(day) ?? 0 }
  })
  return { days, today: by_day.get(dayOf(now)) ?? 0 }
}

export function TodayStat() {
  const t = useText(overviewTexts)
  const language = useLanguage()
  const { days, today } = useDays()
  return (
    <Stat name={t('today')} value={<Money usd={today} />} about={t('settled')}>
      <div className="mt-2 h-8">
        <DayBars days={days} label={t('days', { n: shownDays })} format={(usd) => money(usd, language)} />
      </div>
    </Stat>
  )
}

export function MonthStat() {
  const t = useText(overviewTexts)
  const language = useLanguage()
  const { api, clock } = useBerth()
  const { data: usage } = useQuery(usageQuery(api, { group_by: 'project', from: monthStart(clock()) }))
  const { data: budgets } = useQuery(budgetsQuery(api))
  const budget = budgets?.items.find(({ scope, period }) => scope === 'project' && period === 'month')
  const spent = usage?.items.reduce((sum, { usd }) => sum + usd, 0) ?? 0
  return (
    <Stat
      name={t('month')}
      value={<Money usd={spent} />}
      about={
        budget === undefined ? (
          <>
            {t('noBudget')}.{' '}
            <Link to="/usage" className="text-accent underline">
              {t('setBudget')}
            </Link>
          </>
        ) : (
          t('ofBudget', { usd: money(budget.limit_usd, language) })
        )
      }
    >
      {budget === undefined ? null : (
        <Meter
          share={(budget.spent_usd + budget.reserved_usd) / Math.max(1e-9, budget.limit_usd)}
          label={t('month')}
        />
      )}
    </Stat>
  )
}

const refreshed_ms = 30_000

export function RiskStat() {
  const t = useText(overviewTexts)
  const { data } = useQuery({ ...orphansQuery(useApi()), refetchInterval: refreshed_ms })
  const usd = data?.at_risk_usd_per_hour ?? 0
  const n = data?.items.length ?? 0
  return (
    <Stat
      name={t('risk')}
      tone={usd > 0 ? 'text-bad' : 'text-text'}
      value={
        <>
          <Money usd={usd} /> <span className="text-[13px] font-normal text-muted">{t('anHour')}</span>
        </>
      }
      about={
        n === 0 && usd === 0 ? (
          t('nothingAtRisk')
        ) : (
          <Link to="/orphans" className="text-accent hover:underline">
            {t('orphans', { n })}
          </Link>
        )
      }
    />
  )
}
