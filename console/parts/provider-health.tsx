import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../api/context.tsx'
import { accountsQuery } from '../api/providers.ts'
import type { ProviderAccount } from '../api/types.ts'
import { percent } from '../text/format.ts'
import { overviewTexts } from '../text/overview.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { Badge, type Tone } from '../ui/badge.tsx'
import { Panel } from '../ui/page.tsx'
import { Asked } from './problem.tsx'

export const healthTones: Record<ProviderAccount['health']['state'], Tone> = {
  healthy: 'good',
  degraded: 'warn',
  open: 'bad',
  parked: 'bad',
}

const refreshed_ms = 15_000

export function ProviderHealth() {
  const t = useText(overviewTexts)
  const language = useLanguage()
  const query = useQuery({ ...accountsQuery(useApi()), refetchInterval: refreshed_ms })
  return (
    <Panel
      title={t('health')}
      actions={
        <Link to="/accounts" className="text-[13px] text-accent hover:underline">
          {t('all')}
        </Link>
      }
    >
      <Asked query={query} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="px-4 py-3 text-muted">{t('noAccounts')}</p>
          ) : (
            <ul className="grid sm:grid-cols-2 xl:grid-cols-3">
              {items.map(({ provider, account, health, running }) => (
                <li key={`${provider}/${account}`} className="flex items-center gap-3 px-4 py-2.5">
                  <span className="min-w-0 flex-1">
                    <Link
                      to="/accounts/$provider/$account"
                      params={{ provider, account }}
                      className="block truncate font-medium hover:underline"
                    >
                      {provider} <span className="font-normal text-muted">{account}</span>
                    </Link>
                    <span className="block truncate text-[13px] text-muted">
                      {t('atWork', { n: running })} · {t('calls', { n: health.calls })}
                      {health.success_rate === null ? '' : ` · ${percent(health.success_rate, language, 1)}`}
                    </span>
                  </span>
                  <Badge tone={healthTones[health.state]}>{t(health.state)}</Badge>
                </li>
              ))}
            </ul>
          )
        }
      </Asked>
    </Panel>
  )
}
