import { useQuery } from '@tanstack/react-query'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { orphansQuery } from '../../api/providers.ts'
import type { OrphanList } from '../../api/types.ts'
import { Asked, useOrder } from '../../parts/problem.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { common } from '../../text/common.ts'
import { money } from '../../text/format.ts'
import { fleetTexts, providerTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Money } from '../../ui/money.tsx'
import { Page, Panel } from '../../ui/page.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { Ago } from '../../ui/time.tsx'

const refreshed_ms = 5_000
type Orphan = OrphanList['items'][number]

export function OrphansPage() {
  const t = useText(fleetTexts)
  const language = useLanguage()
  const query = useQuery({ ...orphansQuery(useApi()), refetchInterval: refreshed_ms })
  return (
    <Page title={t('orphans')} about={t('orphansAbout')}>
      <Asked query={query}>
        {({ items, quarantined, at_risk_usd_per_hour }) => (
          <>
            <p className="px-4 pb-3 font-medium">
              {t('atRisk', { usd: money(at_risk_usd_per_hour, language) })}
            </p>
            {quarantined ? (
              <p className="mx-4 mb-3 rounded-md bg-warn-wash px-3 py-2 text-warn">{t('quarantined')}</p>
            ) : null}
            {items.length === 0 ? (
              <Empty title={t('noOrphans')}>{t('noOrphansHint')}</Empty>
            ) : (
              <Panel className="mx-4 mb-6">
                <OrphanTable orphans={items} />
              </Panel>
            )}
          </>
        )}
      </Asked>
    </Page>
  )
}

function OrphanTable({ orphans }: { orphans: readonly Orphan[] }) {
  const t = useText(fleetTexts)
  const p = useText(providerTexts)
  const c = useText(common)
  const mayNot = useWhyNot('operator')
  const { routes } = useApi()
  const stop = useOrder(
    ({ id }: Orphan) => answered(routes.v1.orphans[':id'].stop.$post({ param: { id } })),
    {
      changes: [['orphans']],
      told: t('stopped'),
    },
  )
  const columns: Column<Orphan>[] = [
    { id: 'name', head: t('name'), cell: ({ name }) => <span className="font-mono text-xs">{name}</span> },
    { id: 'account', head: p('account'), cell: ({ provider, account }) => `${provider} ${account}` },
    {
      id: 'seen',
      head: t('firstSeen'),
      align: 'right',
      wide: true,
      cell: ({ first_seen_at }) => <Ago at={first_seen_at} />,
    },
    {
      id: 'price',
      head: t('price'),
      align: 'right',
      cell: ({ usd_per_hour }) => <Money usd={usd_per_hour} />,
    },
    { id: 'cost', head: t('cost'), align: 'right', cell: ({ usd_so_far }) => <Money usd={usd_so_far} /> },
    {
      id: 'stop',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: (orphan) =>
        orphan.stop_called_at === null ? (
          <Button
            small
            look="danger"
            why_not={mayNot}
            busy={stop.isPending}
            onClick={() => stop.mutate(orphan)}
          >
            {t('stop')}
          </Button>
        ) : (
          <span className="text-muted">
            {t('stopping')} <Ago at={orphan.stop_called_at} />
          </span>
        ),
    },
  ]
  return <Table columns={columns} rows={orphans} keyOf={({ id }) => id} label={t('orphans')} />
}
