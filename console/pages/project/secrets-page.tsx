import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { secretsQuery } from '../../api/project.ts'
import type { Secret } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { secretTexts } from '../../text/project.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, Select, Textarea } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago } from '../../ui/time.tsx'

export function SecretsPage() {
  const t = useText(secretTexts)
  const query = useQuery(secretsQuery(useApi()))
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <PutSecret />
        <Asked query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title={t('none')}>{t('noneHint')}</Empty>
            ) : (
              <Panel>
                <SecretTable secrets={items} />
              </Panel>
            )
          }
        </Asked>
      </div>
    </Page>
  )
}

function SecretTable({ secrets }: { secrets: readonly Secret[] }) {
  const t = useText(secretTexts)
  const c = useText(common)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const remove = useOrder((name: string) => routes.v1.secrets[':name'].$delete({ param: { name } }), {
    changes: [['secrets']],
    told: t('removed'),
  })
  const columns: Column<Secret>[] = [
    {
      id: 'name',
      head: t('name'),
      cell: ({ name }) => <span className="font-mono text-xs font-medium">{name}</span>,
    },
    { id: 'type', head: t('type'), cell: ({ type }) => t(type) },
    { id: 'updated', head: t('updated'), align: 'right', cell: ({ updated_at }) => <Ago at={updated_at} /> },
    {
      id: 'remove',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: ({ name }) => (
        <Confirm
          label={c('remove')}
          title={`${c('remove')}: ${name}`}
          about={t('removeAbout')}
          why_not={mayNot}
          onConfirm={() => remove.mutate(name)}
        />
      ),
    },
  ]
  return <Table columns={columns} rows={secrets} keyOf={({ name }) => name} label={t('title')} />
}

const empty = { name: '', value: '', server: '', username: '', password: '' }

function PutSecret() {
  const t = useText(secretTexts)
  const mayNot = useWhyNot('admin')
  const { routes } = useApi()
  const [type, setType] = useState<'value' | 'registry'>('value')
  const [typed, setTyped] = useState(empty)
  const set =
    (name: keyof typeof empty) =>
    ({ target }: { target: { value: string } }) =>
      setTyped({ ...typed, [name]: target.value })
  const { name, value, server, username, password } = typed
  const put = useOrder(
    async () => {
      const json = type === 'value' ? { value } : { registry: { server, username, password } }
      await routes.v1.secrets[':name'].$put({ param: { name }, json })
    },
    // What was typed stays in no memory of ours.
    { changes: [['secrets']], told: t('saved'), onDone: () => setTyped(empty) },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    put.mutate(undefined)
  }
  return (
    <form
      onSubmit={submit}
      autoComplete="off"
      className="grid items-start gap-3 sm:grid-cols-2 lg:grid-cols-[14rem_8rem_minmax(0,1fr)_auto]"
    >
      <Field label={t('name')}>
        <Input required value={name} onChange={set('name')} className="font-mono" />
      </Field>
      <Field label={t('type')}>
        <Select
          value={type}
          onChange={({ target }) => setType(target.value === 'registry' ? 'registry' : 'value')}
        >
          <option value="value">{t('value')}</option>
          <option value="registry">{t('registry')}</option>
        </Select>
      </Field>
      {type === 'value' ? (
        <Field label={t('theValue')}>
          <Textarea required rows={1} value={value} onChange={set('value')} className="min-h-8!" />
        </Field>
      ) : (
        <RegistryFields typed={typed} set={set} />
      )}
      <div className="pt-6">
        <Button type="submit" why_not={mayNot} busy={put.isPending}>
          {t('add')}
        </Button>
      </div>
    </form>
  )
}

interface RegistryFieldsProps {
  typed: typeof empty
  set: (name: keyof typeof empty) => (event: { target: { value: string } }) => void
}

function RegistryFields({ typed: { server, username, password }, set }: RegistryFieldsProps) {
  const t = useText(secretTexts)
  return (
    <div className="grid gap-3 sm:grid-cols-3">
      <Field label={t('server')}>
        <Input required value={server} placeholder="ghcr.io" onChange={set('server')} />
      </Field>
      <Field label={t('username')}>
        <Input required value={username} onChange={set('username')} />
      </Field>
      <Field label={t('password')}>
        <Input
          required
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={set('password')}
        />
      </Field>
    </div>
  )
}
