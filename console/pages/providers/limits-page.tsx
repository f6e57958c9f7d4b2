import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { limitsQuery } from '../../api/providers.ts'
import type { Limit } from '../../api/types.ts'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { fleetTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, Select } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'

const scopes = ['project', 'kind', 'account', 'device'] as const

export function LimitsPage() {
  const t = useText(fleetTexts)
  const query = useQuery(limitsQuery(useApi()))
  return (
    <Page title={t('limits')} about={t('limitsAbout')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <SetLimit />
        <Asked query={query}>
          {({ items }) => (
            <Panel>
              <LimitTable limits={items} />
            </Panel>
          )}
        </Asked>
      </div>
    </Page>
  )
}

function LimitTable({ limits }: { limits: readonly Limit[] }) {
  const t = useText(fleetTexts)
  const c = useText(common)
  const mayNot = useWhyNot('operator')
  const { routes } = useApi()
  const remove = useOrder((id: string) => routes.v1.limits[':id'].$delete({ param: { id } }), {
    changes: [['limits']],
    told: t('limitGone'),
  })
  const columns: Column<Limit>[] = [
    { id: 'scope', head: t('scope'), cell: ({ scope }) => t(`scope_${scope}`) },
    { id: 'key', head: t('key'), cell: ({ key }) => <span className="font-mono text-xs">{key}</span> },
    { id: 'most', head: t('most'), align: 'right', cell: ({ max_running }) => max_running },
    {
      id: 'remove',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: ({ id }) =>
        id === null ? (
          <Badge>{t('byDefault')}</Badge>
        ) : (
          <Button small look="danger" why_not={mayNot} onClick={() => remove.mutate(id)}>
            {c('remove')}
          </Button>
        ),
    },
  ]
  return (
    <Table
      columns={columns}
      rows={limits}
      keyOf={({ scope, key }) => `${scope} ${key}`}
      label={t('limits')}
    />
  )
}

function SetLimit() {
  const t = useText(fleetTexts)
  const mayNot = useWhyNot('operator')
  const { routes } = useApi()
  const [scope, setScope] = useState<(typeof scopes)[number]>('kind')
  const [key, setKey] = useState('')
  const [most, setMost] = useState('')
  const put = useOrder(
    () => answered(routes.v1.limits.$put({ json: { scope, key, max_running: Number(most) } })),
    {
      changes: [['limits']],
      told: t('limitSet'),
    },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    put.mutate(undefined)
  }
  return (
    <form onSubmit={submit} className="grid items-start gap-3 sm:grid-cols-[8rem_minmax(0,1fr)_8rem_auto]">
      <Field label={t('scope')}>
        <Select
          value={scope}
          onChange={({ target }) => setScope(scopes.find((each) => each === target.value) ?? 'kind')}
        >
          {scopes.map((each) => (
            <option key={each} value={each}>
              {t(`scope_${each}`)}
            </option>
          ))}
        </Select>
      </Field>
      <Field label={t('key')} hint={t('keyHint')}>
        <Input required value={key} onChange={({ target }) => setKey(target.value)} />
      </Field>
      <Field label={t('most')}>
        <Input required type="number" min={0} value={most} onChange={({ target }) => setMost(target.value)} />
      </Field>
      <div className="pt-6">
        <Button type="submit" why_not={mayNot} busy={put.isPending}>
          {t('set')}
        </Button>
      </div>
    </form>
  )
}
