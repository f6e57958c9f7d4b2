import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Command } from 'cmdk'
import { type ReactNode, useState } from 'react'
import { answered } from '../api/client.ts'
import { useApi } from '../api/context.tsx'
import { may, useMe } from '../api/me.ts'
import { nav } from '../parts/nav.ts'
import { StateWord } from '../parts/state.tsx'
import { useText } from '../text/language.tsx'
import { shell } from '../text/shell.ts'

/** Newest jobs that are offered before anything is typed. */
const recent = '20'

export function Palette({ onClose, onHelp }: { onClose: () => void; onHelp: () => void }) {
  const t = useText(shell)
  const { routes } = useApi()
  const me = useMe()
  const navigate = useNavigate()
  const [typed, setTyped] = useState('')
  const { data } = useQuery({
    queryKey: ['overview', 'jobs', 'recent'],
    queryFn: () => answered(routes.v1.jobs.$get({ query: { limit: recent } })),
  })
  const run = (act: () => void) => () => {
    onClose()
    act()
  }
  const text = typed.trim()
  return (
    <Command.Dialog
      open
      onOpenChange={(isOpen) => !isOpen && onClose()}
      label={t('search')}
      overlayClassName="fixed inset-0 z-40 bg-black/45"
      contentClassName="fixed top-[12vh] left-1/2 z-50 w-[calc(100vw-1.5rem)] max-w-xl -translate-x-1/2 overflow-hidden rounded-lg border border-line bg-raised shadow-pop"
    >
      <Command.Input
        value={typed}
        onValueChange={setTyped}
        placeholder={t('search')}
        className="h-11 w-full border-b border-line bg-transparent px-4 text-[15px] outline-none"
      />
      <Command.List className="max-h-[50vh] overflow-y-auto p-2">
        <Command.Empty className="px-3 py-6 text-center text-muted">{t('nothing')}</Command.Empty>
        <Typed text={text} run={run} />
        <Group heading={t('jumpTo')}>
          {nav
            .flatMap(({ places }) => places)
            .filter(({ right }) => may(me, right))
            .map(({ to, text: label, icon: Icon, key }) => (
              <Row key={to} value={`${t(label)} ${to}`} onSelect={run(() => void navigate({ to }))}>
                <Icon className="size-4 text-muted" />
                <span className="flex-1">{t(label)}</span>
                {key === undefined ? null : <kbd className="font-mono text-xs text-muted">g {key}</kbd>}
              </Row>
            ))}
          <Row value={t('keyboard')} onSelect={run(onHelp)}>
            <span className="flex-1">{t('keyboard')}</span>
            <kbd className="font-mono text-xs text-muted">?</kbd>
          </Row>
        </Group>
        <Group heading={t('recent')}>
          {(data?.items ?? []).map(({ id, name, state }) => (
            <Row
              key={id}
              value={`${name ?? ''} ${id}`}
              onSelect={run(() => void navigate({ to: '/jobs/$id', params: { id } }))}
            >
              <span className="min-w-0 flex-1 truncate">{name ?? id}</span>
              <span className="text-[13px] text-muted">
                <StateWord state={state} />
              </span>
            </Row>
          ))}
        </Group>
      </Command.List>
    </Command.Dialog>
  )
}

/** What was typed as the id of a job, or as a label. */
function Typed({ text, run }: { text: string; run: (act: () => void) => () => void }) {
  const t = useText(shell)
  const navigate = useNavigate()
  return (
    <>
      {/^job_[0-9a-z]{26}$/.test(text) ? (
        <Row value={text} onSelect={run(() => void navigate({ to: '/jobs/$id', params: { id: text } }))}>
          {t('findJob', { id: text })}
        </Row>
      ) : null}
      {/^[^\s:]+:\S/.test(text) ? (
        <Row value={text} onSelect={run(() => void navigate({ to: '/jobs', search: { label: text } }))}>
          {t('findLabel', { label: text })}
        </Row>
      ) : null}
    </>
  )
}

function Group({ heading, children }: { heading: string; children: ReactNode }) {
  return (
    <Command.Group
      heading={heading}
      className="[&_[cmdk-group-heading]]:px-2 [&_[cmdk-group-heading]]:pt-2 [&_[cmdk-group-heading]]:pb-1 [&_[cmdk-group-heading]]:text-xs [&_[cmdk-group-heading]]:text-muted"
    >
      {children}
    </Command.Group>
  )
}

function Row({ value, onSelect, children }: { value: string; onSelect: () => void; children: ReactNode }) {
  return (
    <Command.Item
      value={value}
      onSelect={onSelect}
      className="flex min-h-9 cursor-pointer items-center gap-3 rounded-md px-2 data-[selected=true]:bg-idle-wash"
    >
      {children}
    </Command.Item>
  )
}
