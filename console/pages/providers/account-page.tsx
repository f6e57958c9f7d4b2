import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { useApi } from '../../api/context.tsx'
import { accountsQuery } from '../../api/providers.ts'
import type { ProviderAccount } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { healthTones } from '../../parts/provider-health.tsx'
import { NotFound } from '../broken.tsx'
import { percent } from '../../text/format.ts'
import { overviewTexts } from '../../text/overview.ts'
import { providerTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge, Dot } from '../../ui/badge.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago, At } from '../../ui/time.tsx'
import { AccountActions } from './account-actions.tsx'
import { AccountBounds } from './account-bounds.tsx'
import { AccountState } from './accounts-page.tsx'
import { OffersThere } from './offers-there.tsx'
import { RunningPanel } from './running-panel.tsx'

const refreshed_ms = 5_000

export function AccountPage() {
  const { provider, account } = useParams({ from: '/accounts/$provider/$account' })
  const query = useQuery({ ...accountsQuery(useApi()), refetchInterval: refreshed_ms })
  return (
    <Asked query={query}>
      {({ items }) => {
        const found = items.find((each) => each.provider === provider && each.account === account)
        return found === undefined ? <NotFound /> : <Loaded account={found} />
      }}
    </Asked>
  )
}

function Loaded({ account }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  const o = useText(overviewTexts)
  const { health } = account
  return (
    <Page
      title={`${account.provider} ${account.account}`}
      about={
        <span className="flex items-center gap-2 pt-1">
          <Badge tone={healthTones[health.state]}>{o(health.state)}</Badge>
          <AccountState account={account} />
        </span>
      }
      actions={<AccountActions account={account} />}
    >
      {health.reason === null ? null : (
        <div className="mx-4 mb-3 rounded-md border border-line bg-warn-wash px-3 py-2 text-[13px]">
          <p className="font-semibold text-warn">{health.reason}</p>
          <p>{health.detail}</p>
          {health.next_try_at === null ? null : (
            <p className="text-muted">
              {t('parkedAbout')} <At at={health.next_try_at} />
            </p>
          )}
        </div>
      )}
      <div className="flex flex-col gap-4 px-4 pb-6">
        <div className="grid gap-4 xl:grid-cols-2">
          <Calls account={account} />
          <Checks account={account} />
        </div>
        <RunningPanel of={{ provider: account.provider, account: account.account }} />
        <OffersThere of={{ provider: account.provider, account: account.account }} />
        <div className="grid gap-4 xl:grid-cols-2">
          <AccountBounds account={account} />
          <Panel title={t('settings')}>
            <pre tabIndex={0} className="max-h-80 overflow-auto p-4 font-mono text-xs">
              {JSON.stringify(account.settings, null, 2)}
            </pre>
          </Panel>
        </div>
      </div>
    </Page>
  )
}

type Call = ProviderAccount['health']['by_call'][number]

function Calls({ account: { health } }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  const language = useLanguage()
  const rate = (share: number | null) => (share === null ? '–' : percent(share, language, 1))
  const ms = (value: number | null) => (value === null ? '–' : `${value} ms`)
  const columns: Column<Call>[] = [
    { id: 'call', head: t('call'), cell: ({ call }) => <span className="font-mono text-xs">{call}</span> },
    { id: 'calls', head: t('count'), align: 'right', cell: ({ calls }) => calls },
    { id: 'rate', head: t('success'), align: 'right', cell: ({ success_rate }) => rate(success_rate) },
    { id: 'p50', head: t('p50'), align: 'right', wide: true, cell: ({ p50_ms }) => ms(p50_ms) },
    { id: 'p95', head: t('p95'), align: 'right', wide: true, cell: ({ p95_ms }) => ms(p95_ms) },
    {
      id: 'errors',
      head: t('errors'),
      cell: ({ errors }) => (
        <span className="text-muted">
          {Object.entries(errors)
            .map(([code, count]) => `${code} ${count}`)
            .join(', ')}
        </span>
      ),
    },
  ]
  return (
    <Panel title={t('calls')}>
      {health.by_call.length === 0 ? (
        <p className="px-4 py-3 text-muted">{t('noCalls')}</p>
      ) : (
        <Table columns={columns} rows={health.by_call} keyOf={({ call }) => call} label={t('calls')} />
      )}
      {health.last_error === null ? null : (
        <p className="border-t border-line px-4 py-2 text-[13px] break-words text-muted">
          {t('lastError')}: <span className="font-mono text-xs">{health.last_error.call}</span>{' '}
          {health.last_error.code}, {health.last_error.detail} · <Ago at={health.last_error.at} />
        </p>
      )}
    </Panel>
  )
}

function Checks({ account: { checks, checked_at } }: { account: ProviderAccount }) {
  const t = useText(providerTexts)
  return (
    <Panel
      title={t('checks')}
      actions={
        checked_at === null ? null : (
          <span className="text-[13px] text-muted">
            <Ago at={checked_at} />
          </span>
        )
      }
    >
      {checks === null || checks.length === 0 ? (
        <p className="px-4 py-3 text-muted">{t('noChecks')}</p>
      ) : (
        <ul className="py-1">
          {checks.map(({ name, ok, detail }) => (
            <li key={name} className="flex gap-3 px-4 py-1.5 text-[13px]">
              <span className="pt-1.5">
                <Dot tone={ok ? 'good' : 'bad'} />
              </span>
              <span className="min-w-0">
                <span className={`font-medium ${ok ? '' : 'text-bad'}`}>{name}</span>
                <span className="block break-words text-muted">{detail}</span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}
