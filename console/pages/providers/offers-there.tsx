import { useInfiniteQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useApi } from '../../api/context.tsx'
import { offersQuery } from '../../api/providers.ts'
import type { Offer } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { overviewTexts } from '../../text/overview.ts'
import { offerTexts, providerTexts } from '../../text/providers.ts'
import { useText } from '../../text/language.tsx'
import { Money } from '../../ui/money.tsx'
import { Panel } from '../../ui/page.tsx'
import { type Column, Table } from '../../ui/table.tsx'
import { offerKey, OfferName, Stock } from './offer-line.tsx'

const refreshed_ms = 15_000
/** What it refuses now comes first; the whole list is a page of its own. */
const shown = 6

/** Whether the account would take a launch now, and until when not. */
export function OffersThere({ of }: { of: { provider: string; account: string } }) {
  const t = useText(offerTexts)
  const p = useText(providerTexts)
  const o = useText(overviewTexts)
  const query = useInfiniteQuery({
    ...offersQuery(useApi(), { provider: of.provider }),
    refetchInterval: refreshed_ms,
  })
  const columns: Column<Offer>[] = [
    { id: 'gpu', head: t('gpu'), cell: (offer) => <OfferName offer={offer} /> },
    {
      id: 'region',
      head: t('region'),
      wide: true,
      cell: ({ region }) => <span className="text-muted">{region}</span>,
    },
    {
      id: 'price',
      head: t('price'),
      align: 'right',
      cell: ({ usd_per_hour }) => <Money usd={usd_per_hour} />,
    },
    { id: 'stock', head: t('stock'), cell: (offer) => <Stock offer={offer} /> },
  ]
  return (
    <Panel
      title={p('offersThere')}
      actions={
        <Link
          to="/offers"
          search={{ provider: of.provider }}
          className="text-[13px] text-accent hover:underline"
        >
          {o('all')}
        </Link>
      }
    >
      <Asked query={query}>
        {({ pages }) => {
          const offers = pages.flatMap(({ items }) => items).filter(({ account }) => account === of.account)
          const refused = offers.filter(({ blocked }) => blocked !== null)
          const free = offers.filter(({ blocked }) => blocked === null)
          return offers.length === 0 ? (
            <p className="px-4 py-3 text-muted">{p('noOffersThere')}</p>
          ) : (
            <>
              <Table
                columns={columns}
                rows={[...refused, ...free].slice(0, shown)}
                keyOf={offerKey}
                label={p('offersThere')}
              />
              <p className="border-t border-line px-4 py-2 text-[13px] text-muted">
                {p('refusedOf', { n: refused.length, of: offers.length })}
              </p>
            </>
          )
        }}
      </Asked>
    </Panel>
  )
}
