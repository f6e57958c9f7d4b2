import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { budgetsQuery } from '../../api/overview.ts'
import type { Budget } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { usageTexts } from '../../text/project.ts'
import { useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, Select } from '../../ui/field.tsx'
import { Money } from '../../ui/money.tsx'
import { Panel } from '../../ui/page.tsx'
import { Meter } from '../../ui/stat.tsx'
import { type Column, Table } from '../../ui/table.tsx'

export function Budgets() {
  const t = useText(usageTexts)
  const query = useQuery(budgetsQuery(useApi()))
  return (
    <Panel title={t('budgets')}>
      <Asked query={query} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="px-4 py-3 text-muted">{t('noBudgets')}</p>
          ) : (
            <BudgetTable budgets={items} />
          )
        }
      </Asked>
      <SetBudget />
    </Panel>
  )
}

function BudgetTable({ budgets }: { budgets: readonly Budget[] }) {
  const t = useText(usageTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const remove = useOrder((id: string) => routes.v1.budgets[':id'].$delete({ param: { id } }), {
    changes: [['budgets']],
    told: t('removed'),
  })
  const nameOf = ({ label }: Budget) => (label === null ? t('project') : `${label.name}:${label.value}`)
  const columns: Column<Budget>[] = [
    {
      id: 'scope',
      head: t('scope'),
      cell: (budget) => <span className="font-medium">{nameOf(budget)}</span>,
    },
    { id: 'period', head: t('period'), cell: ({ period }) => t(period) },
    {
      id: 'share',
      head: t('spent'),
      cell: (budget) => (
        <div className="w-36 pb-1.5">
          <Meter
            share={(budget.spent_usd + budget.reserved_usd) / Math.max(1e-9, budget.limit_usd)}
            label={nameOf(budget)}
          />
        </div>
      ),
    },
    { id: 'spent', head: t('spent'), align: 'right', cell: ({ spent_usd }) => <Money usd={spent_usd} /> },
    {
      id: 'reserved',
      head: t('reserved'),
      align: 'right',
      wide: true,
      cell: ({ reserved_usd }) => <Money usd={reserved_usd} />,
    },
    { id: 'limit', head: t('limit'), align: 'right', cell: ({ limit_usd }) => <Money usd={limit_usd} /> },
    {
      id: 'state',
      head: c('state'),
      cell: ({ exhausted_at, warned_at }) =>
        exhausted_at !== null ? (
          <Badge tone="bad">{t('exhausted')}</Badge>
        ) : warned_at !== null ? (
          <Badge tone="warn">{t('warned')}</Badge>
        ) : null,
    },
    {
      id: 'remove',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: (budget) => (
        <Confirm
          label={c('remove')}
          title={`${c('remove')}: ${nameOf(budget)}`}
          about=""
          why_not={mayNot}
          onConfirm={() => remove.mutate(budget.id)}
        />
      ),
    },
  ]
  return <Table columns={columns} rows={budgets} keyOf={({ id }) => id} label={t('budgets')} />
}

function SetBudget() {
  const t = useText(usageTexts)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const [scope, setScope] = useState<'project' | 'label'>('project')
  const [name, setName] = useState('')
  const [value, setValue] = useState('')
  const [period, setPeriod] = useState<'month' | 'total'>('month')
  const [limit, setLimit] = useState('')
  const put = useOrder(
    () =>
      answered(
        routes.v1.budgets.$put({
          json: {
            scope,
            period,
            limit_usd: Number(limit),
            ...(scope === 'label' ? { label: { name, value } } : {}),
          },
        }),
      ),
    { changes: [['budgets'], ['overview']], told: t('saved'), onDone: () => setLimit('') },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    put.mutate(undefined)
  }
  return (
    <form onSubmit={submit} className="flex flex-wrap items-end gap-3 border-t border-line px-4 py-3">
      <Field label={t('scope')} className="w-48">
        <Select
          value={scope}
          onChange={({ target }) => setScope(target.value === 'label' ? 'label' : 'project')}
        >
          <option value="project">{t('project')}</option>
          <option value="label">{t('label')}</option>
        </Select>
      </Field>
      {scope === 'label' ? (
        <LabelFields name={name} value={value} onName={setName} onValue={setValue} />
      ) : null}
      <Field label={t('period')} className="w-36">
        <Select
          value={period}
          onChange={({ target }) => setPeriod(target.value === 'total' ? 'total' : 'month')}
        >
          <option value="month">{t('month')}</option>
          <option value="total">{t('total')}</option>
        </Select>
      </Field>
      <Field label={t('limit')} className="w-32">
        <Input
          required
          type="number"
          step="any"
          min={0}
          value={limit}
          onChange={({ target }) => setLimit(target.value)}
        />
      </Field>
      <Button type="submit" why_not={mayNot} busy={put.isPending}>
        {t('set')}
      </Button>
    </form>
  )
}

interface LabelFieldsProps {
  name: string
  value: string
  onName: (name: string) => void
  onValue: (value: string) => void
}

function LabelFields({ name, value, onName, onValue }: LabelFieldsProps) {
  const t = useText(usageTexts)
  return (
    <>
      <Field label={t('labelName')} className="w-32">
        <Input required value={name} onChange={({ target }) => onName(target.value)} />
      </Field>
      <Field label={t('labelValue')} className="w-32">
        <Input required value={value} onChange={({ target }) => onValue(target.value)} />
      </Field>
    </>
  )
}
