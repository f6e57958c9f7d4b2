import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { keysQuery } from '../../api/project.ts'
import type { ApiKey } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { ShownOnce } from '../../parts/shown-once.tsx'
import { common } from '../../text/common.ts'
import { keyTexts } from '../../text/project.ts'
import { useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, Select } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago, At, useNow } from '../../ui/time.tsx'

const roles = ['viewer', 'member', 'admin'] as const

export function KeysPage() {
  const t = useText(keyTexts)
  const query = useQuery(keysQuery(useApi()))
  const [made, setMade] = useState<string | null>(null)
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <MakeKey onMade={setMade} />
        <Asked query={query}>
          {({ items }) => (
            <Panel>
              <KeyTable keys={items} onMade={setMade} />
            </Panel>
          )}
        </Asked>
      </div>
      <ShownOnce secret={made} title={t('shown')} onClose={() => setMade(null)} />
    </Page>
  )
}

function KeyTable({ keys, onMade }: { keys: readonly ApiKey[]; onMade: (key: string) => void }) {
  const t = useText(keyTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const now = useNow(60_000)
  const { rotate, revoke } = useKeyOrders(onMade)
  const hasEnded = ({ revoked_at, expires_at }: ApiKey) =>
    revoked_at !== null || (expires_at !== null && new Date(expires_at) <= now)
  const columns: Column<ApiKey>[] = [
    { id: 'name', head: c('name'), cell: ({ name }) => <span className="font-medium">{name}</span> },
    { id: 'role', head: t('role'), cell: ({ role }) => role },
    {
      id: 'prefix',
      head: t('prefix'),
      cell: ({ prefix }) => <span className="font-mono text-xs">{prefix}…</span>,
    },
    {
      id: 'state',
      head: t('state'),
      cell: (key) => (hasEnded(key) ? <Badge>{t('ended')}</Badge> : <Badge tone="good">{t('works')}</Badge>),
    },
    {
      id: 'expires',
      head: t('expires'),
      wide: true,
      cell: ({ expires_at }) => (expires_at === null ? c('never') : <At at={expires_at} />),
    },
    {
      id: 'used',
      head: t('lastUsed'),
      align: 'right',
      wide: true,
      cell: ({ last_used_at }) => (last_used_at === null ? c('never') : <Ago at={last_used_at} />),
    },
    {
      id: 'actions',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: (key) =>
        hasEnded(key) ? null : (
          <span className="inline-flex gap-1">
            <Confirm
              label={t('rotate')}
              title={`${t('rotate')}: ${key.name}`}
              about={t('rotateAbout')}
              danger={false}
              why_not={mayNot}
              onConfirm={() => rotate.mutate(key.id)}
            />
            <Confirm
              label={t('revoke')}
              title={`${t('revoke')}: ${key.name}`}
              about={t('revokeAbout')}
              why_not={mayNot}
              onConfirm={() => revoke.mutate(key.id)}
            />
          </span>
        ),
    },
  ]
  return <Table columns={columns} rows={keys} keyOf={({ id }) => id} label={t('title')} />
}

function useKeyOrders(onMade: (key: string) => void) {
  const t = useText(keyTexts)
  const { routes } = useApi()
  const changes = [['keys']]
  const rotate = useOrder(
    (id: string) => answered(routes.v1.keys[':id'].rotate.$post({ param: { id }, json: {} })),
    {
      changes,
      onDone: ({ key }) => onMade(key),
    },
  )
  const revoke = useOrder((id: string) => routes.v1.keys[':id'].$delete({ param: { id } }), {
    changes,
    told: t('revoked'),
  })
  return { rotate, revoke }
}

function MakeKey({ onMade }: { onMade: (key: string) => void }) {
  const t = useText(keyTexts)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const [name, setName] = useState('')
  const [role, setRole] = useState<(typeof roles)[number]>('member')
  const [ends, setEnds] = useState('')
  const make = useOrder(
    () =>
      answered(
        routes.v1.keys.$post({
          json: { name, role, expires_at: ends === '' ? null : new Date(ends).toISOString() },
        }),
      ),
    {
      changes: [['keys']],
      onDone: ({ key }) => {
        setName('')
        onMade(key)
      },
    },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    make.mutate(undefined)
  }
  return (
    <form
      onSubmit={submit}
      className="grid items-start gap-3 sm:grid-cols-2 lg:grid-cols-[minmax(0,1fr)_9rem_14rem_auto]"
    >
      <Field label={t('name')}>
        <Input required maxLength={200} value={name} onChange={({ target }) => setName(target.value)} />
      </Field>
      <Field label={t('role')} hint={t('roleHint')}>
        <Select
          value={role}
          onChange={({ target }) => setRole(roles.find((each) => each === target.value) ?? 'member')}
        >
          {roles.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </Select>
      </Field>
      <Field label={t('expires')} hint={t('expiresHint')}>
        <Input type="datetime-local" value={ends} onChange={({ target }) => setEnds(target.value)} />
      </Field>
      <div className="pt-6">
        <Button type="submit" look="primary" why_not={mayNot} busy={make.isPending}>
          {t('make')}
        </Button>
      </div>
    </form>
  )
}
