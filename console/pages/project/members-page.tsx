import { useQuery } from '@tanstack/react-query'
import { type SubmitEvent, useState } from 'react'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { may, useMe } from '../../api/me.ts'
import { invitationsQuery, membersQuery } from '../../api/project.ts'
import type { Invitation, Member } from '../../api/types.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { ShownOnce } from '../../parts/shown-once.tsx'
import { common } from '../../text/common.ts'
import { memberTexts } from '../../text/sign-in.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Field, Input, inputClass, Select } from '../../ui/field.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago, At } from '../../ui/time.tsx'

const roles = ['viewer', 'member', 'admin', 'owner'] as const
type Role = (typeof roles)[number]
const roleOf = (text: string): Role => roles.find((each) => each === text) ?? 'member'

export function MembersPage() {
  const t = useText(memberTexts)
  const me = useMe()
  const project = me?.project?.id ?? ''
  const query = useQuery({ ...membersQuery(useApi(), project), enabled: project !== '' })
  const [link, setLink] = useState<string | null>(null)
  return (
    <Page title={t('title')} about={t('about')}>
      <div className="flex flex-col gap-4 px-4 pb-6">
        <Invite project={project} onLink={setLink} />
        <Asked query={query}>
          {({ items }) => (
            <Panel>
              <MemberTable project={project} members={items} />
            </Panel>
          )}
        </Asked>
        {may(me, 'admin') ? <Invitations project={project} /> : null}
      </div>
      <ShownOnce secret={link} title={t('linkShown')} onClose={() => setLink(null)} />
    </Page>
  )
}

function MemberTable({ project, members }: { project: string; members: readonly Member[] }) {
  const t = useText(memberTexts)
  const c = useText(common)
  const me = useMe()
  const mayNot = useWhyNot('admin')
  const one = useApi().routes.v1.projects[':id'].members[':user_id']
  const changes = [['members']]
  const change = useOrder(
    ({ user_id, role }: { user_id: string; role: Role }) =>
      answered(one.$patch({ param: { id: project, user_id }, json: { role } })),
    { changes, told: t('changed') },
  )
  const remove = useOrder((user_id: string) => one.$delete({ param: { id: project, user_id } }), {
    changes,
    told: t('removed'),
  })
  const whyNot = (role: Role) => mayNot ?? (role === 'owner' && me?.role !== 'owner' ? t('needsOwner') : null)
  const columns: Column<Member>[] = [
    { id: 'name', head: t('name'), cell: ({ name }) => <span className="font-medium">{name}</span> },
    { id: 'email', head: t('email'), cell: ({ email }) => <span className="text-muted">{email}</span> },
    {
      id: 'role',
      head: t('role'),
      cell: ({ user_id, role, name }) => (
        <select
          aria-label={`${t('role')}: ${name}`}
          className={`${inputClass} w-28! text-[13px]`}
          disabled={whyNot(role) !== null}
          title={whyNot(role) ?? undefined}
          value={role}
          onChange={({ target }) => change.mutate({ user_id, role: roleOf(target.value) })}
        >
          {roles.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      ),
    },
    { id: 'since', head: t('since'), align: 'right', wide: true, cell: ({ since }) => <Ago at={since} /> },
    {
      id: 'remove',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: ({ user_id, name, role }) => (
        <Confirm
          label={t('remove')}
          title={`${t('remove')}: ${name}`}
          about={t('removeAbout')}
          why_not={whyNot(role)}
          onConfirm={() => remove.mutate(user_id)}
        />
      ),
    },
  ]
  return <Table columns={columns} rows={members} keyOf={({ user_id }) => user_id} label={t('title')} />
}

function Invite({ project, onLink }: { project: string; onLink: (link: string) => void }) {
  const t = useText(memberTexts)
  const mayNot = useWhyNot('admin')
  const { invitations } = useApi().routes.v1.projects[':id']
  const [email, setEmail] = useState('')
  const [role, setRole] = useState<Role>('member')
  const invite = useOrder(
    () => answered(invitations.$post({ param: { id: project }, json: { email, role } })),
    {
      changes: [['invitations']],
      onDone: ({ link }) => {
        setEmail('')
        onLink(link)
      },
    },
  )
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    invite.mutate(undefined)
  }
  return (
    <form
      onSubmit={submit}
      className="grid items-end gap-3 sm:grid-cols-[minmax(0,20rem)_9rem_auto] sm:justify-start"
    >
      <Field label={t('email')}>
        <Input type="email" required value={email} onChange={({ target }) => setEmail(target.value)} />
      </Field>
      <Field label={t('role')}>
        <Select value={role} onChange={({ target }) => setRole(roleOf(target.value))}>
          {roles.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </Select>
      </Field>
      <Button type="submit" look="primary" why_not={mayNot} busy={invite.isPending}>
        {t('invite')}
      </Button>
    </form>
  )
}

function Invitations({ project }: { project: string }) {
  const t = useText(memberTexts)
  const c = useText(common)
  const api = useApi()
  const query = useQuery(invitationsQuery(api, project))
  const one = api.routes.v1.projects[':id'].invitations[':invitation_id']
  const withdraw = useOrder(
    (invitation_id: string) => one.$delete({ param: { id: project, invitation_id } }),
    {
      changes: [['invitations']],
      told: t('withdrawn'),
    },
  )
  const columns: Column<Invitation>[] = [
    { id: 'email', head: t('email'), cell: ({ email }) => email },
    { id: 'role', head: t('role'), cell: ({ role }) => role },
    { id: 'ends', head: t('ends'), align: 'right', cell: ({ expires_at }) => <At at={expires_at} /> },
    {
      id: 'withdraw',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: ({ id }) => (
        <Button small look="danger" onClick={() => withdraw.mutate(id)}>
          {t('withdraw')}
        </Button>
      ),
    },
  ]
  return (
    <Panel title={t('invitations')}>
      <Asked query={query} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="px-4 py-3 text-muted">{t('noInvitations')}</p>
          ) : (
            <Table columns={columns} rows={items} keyOf={({ id }) => id} label={t('invitations')} />
          )
        }
      </Asked>
    </Panel>
  )
}
