import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../../api/context.tsx'
import { accountsQuery } from '../../api/providers.ts'
import type { ProviderAccount } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { healthTones } from '../../parts/provider-health.tsx'
import { percent } from '../../text/format.ts'
import { overviewTexts } from '../../text/overview.ts'
import { providerTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { buttonClass } from '../../ui/button.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { AccountActions } from './account-actions.tsx'

const refreshed_ms = 10_000

export function AccountsPage() {
  const t = useText(providerTexts)
  const query = useQuery({ ...accountsQuery(useApi()), refetchInterval: refreshed_ms })
  const add = (
    <Link to="/accounts/add" className={buttonClass('primary')}>
      {t('add')}
    </Link>
  )
  return (
    <Page title={t('accounts')} actions={add}>
      <Asked query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('none')} action={add}>
              {t('noneHint')}
            </Empty>
          ) : (
            <Panel className="mx-4 mb-6">
              <AccountTable accounts={items} />
            </Panel>
          )
        }
      </Asked>
    </Page>
  )
}

function AccountTable({ accounts }: { accounts: readonly ProviderAccount[] }) {
  const t = useText(providerTexts)
  const o = useText(overviewTexts)
  const language = useLanguage()
  const columns: Column<ProviderAccount>[] = [
    {
      id: 'account',
      head: t('account'),
      cell: ({ provider, account }) => (
        <Link
          to="/accounts/$provider/$account"
          params={{ provider, account }}
          className="font-medium hover:underline"
        >
          {provider} <span className="font-normal text-muted">{account}</span>
        </Link>
      ),
    },
    {
      id: 'health',
      head: t('health'),
      cell: ({ health: { state } }) => <Badge tone={healthTones[state]}>{o(state)}</Badge>,
    },
    { id: 'state', head: t('state'), cell: (account) => <AccountState account={account} /> },
    { id: 'running', head: t('running'), align: 'right', cell: ({ running }) => running },
    {
      id: 'success',
      head: t('success'),
      align: 'right',
      wide: true,
      cell: ({ health: { success_rate } }) =>
        success_rate === null ? '–' : percent(success_rate, language, 1),
    },
    {
      id: 'p95',
      head: t('p95'),
      align: 'right',
      wide: true,
      cell: ({ health: { p95_ms } }) => (p95_ms === null ? '–' : `${p95_ms} ms`),
    },
    {
      id: 'error',
      head: t('lastError'),
      wide: true,
      cell: ({ health: { last_error } }) => (
        <span className="block max-w-72 truncate text-muted" title={last_error?.detail}>
          {last_error === null ? '' : `${last_error.call}: ${last_error.code}`}
        </span>
      ),
    },
    {
      id: 'actions',
      head: <span className="sr-only">{t('change')}</span>,
      align: 'right',
      cell: (account) => <AccountActions account={account} />,
    },
  ]
  return (
    <Table
      columns={columns}
      rows={accounts}
      keyOf={({ provider, account }) => `${provider}/${account}`}
      label={t('accounts')}
    />
  )
}

export function AccountState({ account: { id, enabled, draining } }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  if (id === null) return <span className="text-muted">{t('fixed')}</span>
  if (!enabled) return <Badge tone="idle">{t('disabled')}</Badge>
  return draining ? <Badge tone="warn">{t('draining')}</Badge> : <Badge tone="good">{t('enabled')}</Badge>
}
