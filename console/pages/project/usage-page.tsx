import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useBerth } from '../../api/context.tsx'
import { dayOf, daysAgo, type UsageGroup, usageQuery } from '../../api/overview.ts'
import type { UsageRow } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { money } from '../../text/format.ts'
import { usageTexts } from '../../text/project.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { inputClass } from '../../ui/field.tsx'
import { Money } from '../../ui/money.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { DayBars } from '../../ui/stat.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Budgets } from './budgets.tsx'
import { usageGroups, usageSpans } from './usage-search.ts'

export function UsagePage() {
  const t = useText(usageTexts)
  const { group = 'day', label, days = 30 } = useSearch({ from: '/usage' })
  const { api, clock } = useBerth()
  const isAsked = group !== 'label' || Boolean(label)
  const query = useQuery({
    ...usageQuery(api, {
      group_by: group,
      from: daysAgo(clock(), days - 1),
      ...(group === 'label' && label ? { label } : {}),
    }),
    enabled: isAsked,
  })
  return (
    <Page title={t('title')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <Budgets />
        <Panel title={t('usage')} actions={<Choices group={group} label={label ?? ''} days={days} />}>
          {isAsked ? (
            <Asked query={query}>{({ items }) => <Usage rows={items} group={group} days={days} />}</Asked>
          ) : null}
        </Panel>
      </div>
    </Page>
  )
}

function Choices({ group, label, days }: { group: UsageGroup; label: string; days: number }) {
  const t = useText(usageTexts)
  const navigate = useNavigate()
  const set = (patch: { group?: UsageGroup; label?: string; days?: number }) =>
    void navigate({
      to: '/usage',
      search: { group, days, ...(label === '' ? {} : { label }), ...patch },
      replace: true,
    })
  const names = { day: t('day'), kind: t('kind'), provider: t('provider'), label: t('byLabel') }
  return (
    <span className="flex flex-wrap gap-2">
      <select
        aria-label={t('by')}
        className={`${inputClass} w-28! text-[13px]`}
        value={group}
        onChange={({ target }) => set({ group: usageGroups.find((each) => each === target.value) ?? 'day' })}
      >
        {usageGroups.map((each) => (
          <option key={each} value={each}>
            {names[each]}
          </option>
        ))}
      </select>
      {group === 'label' ? (
        <input
          key={label}
          aria-label={t('labelName')}
          placeholder={t('labelName')}
          defaultValue={label}
          className={`${inputClass} w-36! text-[13px]`}
          onBlur={({ target }) => target.value !== label && set({ label: target.value })}
          onKeyDown={({ key, currentTarget }) => key === 'Enter' && set({ label: currentTarget.value })}
        />
      ) : null}
      <select
        aria-label={t('period')}
        className={`${inputClass} w-44! text-[13px]`}
        value={days}
        onChange={({ target }) => set({ days: Number(target.value) })}
      >
        {usageSpans.map((n) => (
          <option key={n} value={n}>
            {t('days', { n })}
          </option>
        ))}
      </select>
    </span>
  )
}

/** Days without a cost too. */
function daysOf(rows: readonly UsageRow[], days: number, now: Date) {
  const costs = new Map<string, number>()
  for (const { group, usd } of rows) costs.set(group.slice(0, 10), (costs.get(group.slice(0, 10)) ?? 0) + usd)
  return Array.from({ length: days }, (_, n) => {
    const day = dayOf(new Date(now.getTime() - (days - 1 - n) * 86_400_000))
    return { day, value: costs.get(day) ?? 0 }
  })
}

function Usage({ rows, group, days }: { rows: readonly UsageRow[]; group: UsageGroup; days: number }) {
  const { clock } = useBerth()
  const t = useText(usageTexts)
  const language = useLanguage()
  if (rows.length === 0) return <p className="px-4 py-3 text-muted">{t('none')}</p>
  const sum = rows.reduce((total, { usd }) => total + usd, 0)
  const columns: Column<UsageRow>[] = [
    {
      id: 'group',
      head: t('by'),
      cell: (row) => (
        <span className="font-medium">{group === 'day' ? row.group.slice(0, 10) : row.group}</span>
      ),
    },
    { id: 'usd', head: t('usd'), align: 'right', cell: ({ usd }) => <Money usd={usd} /> },
    { id: 'attempts', head: t('attempts'), align: 'right', cell: ({ attempts }) => attempts },
    { id: 'hours', head: t('hours'), align: 'right', cell: ({ seconds }) => (seconds / 3_600).toFixed(2) },
    {
      id: 'basis',
      head: t('basis'),
      wide: true,
      cell: ({ basis }) => <span className="text-muted">{t(basis)}</span>,
    },
  ]
  return (
    <>
      <p className="px-4 pt-3 text-[13px] text-muted">
        {t('sum')}{' '}
        <span className="text-lg font-semibold text-text">
          <Money usd={sum} />
        </span>
      </p>
      {group === 'day' ? (
        <div className="h-24 px-4 py-3">
          <DayBars
            days={daysOf(rows, days, clock())}
            label={t('usage')}
            format={(usd) => money(usd, language)}
          />
        </div>
      ) : null}
      <Table
        columns={columns}
        rows={rows}
        keyOf={({ group: name, basis }) => `${name} ${basis}`}
        label={t('usage')}
      />
    </>
  )
}
