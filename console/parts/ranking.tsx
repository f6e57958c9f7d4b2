// Offers in the order of placement, and those that were rejected with the reason.
import type { RankedOffer, Rejection } from '../api/types.ts'
import { duration } from '../text/format.ts'
import { explainTexts, timelineTexts } from '../text/job.ts'
import { useLanguage, useText, useWord } from '../text/language.tsx'
import { reasonTexts } from '../text/reasons.ts'
import { Badge } from '../ui/badge.tsx'
import { Money } from '../ui/money.tsx'
import { type Column, Table } from '../ui/table.tsx'

export function OfferRanking({ offers }: { offers: readonly RankedOffer[] }) {
  const t = useText(explainTexts)
  const w = useText(timelineTexts)
  const language = useLanguage()
  if (offers.length === 0) return <p className="px-4 py-3 text-muted">{t('noOffers')}</p>
  const columns: Column<RankedOffer>[] = [
    {
      id: 'offer',
      head: t('offer'),
      cell: ({ provider, account, region, offer, spot }) => (
        <span className="flex flex-wrap items-center gap-x-2">
          <span className="font-medium">{provider}</span>
          <span className="text-muted">{[account, region, offer].join(' · ')}</span>
          {spot ? <Badge tone="warn">{w('spot')}</Badge> : null}
        </span>
      ),
    },
    {
      id: 'price',
      head: t('price'),
      align: 'right',
      cell: ({ usd_per_hour }) => <Money usd={usd_per_hour} />,
    },
    {
      id: 'duration',
      head: t('duration'),
      align: 'right',
      cell: ({ expected_duration_s: s }) => (s === null ? '–' : duration(s, language)),
    },
    {
      id: 'cost',
      head: t('cost'),
      align: 'right',
      cell: ({ expected_usd: usd }) => (usd === null ? '–' : <Money usd={usd} about />),
    },
    { id: 'basis', head: t('basis'), wide: true, cell: ({ basis }) => (basis === null ? '–' : t(basis)) },
  ]
  return (
    <Table
      label={t('offers')}
      columns={columns}
      rows={offers}
      keyOf={({ provider, account, region, offer, spot }) =>
        [provider, account, region, offer, spot].join('/')
      }
    />
  )
}

export function RejectedOffers({ rejected }: { rejected: readonly Rejection[] }) {
  const t = useText(explainTexts)
  const word = useWord(reasonTexts)
  const language = useLanguage()
  if (rejected.length === 0) return null
  const columns: Column<Rejection>[] = [
    {
      id: 'reason',
      head: t('reason'),
      cell: ({ reason, text }) => (
        <span>
          <span className="font-medium">{word(reason)}</span>
          {language === 'en' ? <span className="block text-muted">{text}</span> : null}
        </span>
      ),
    },
    { id: 'count', head: t('count'), align: 'right', cell: ({ count }) => count },
    {
      id: 'examples',
      head: t('examples'),
      cell: ({ examples }) => (
        <span className="font-mono text-xs break-all text-muted">{examples.join(', ')}</span>
      ),
    },
  ]
  return <Table label={t('rejected')} columns={columns} rows={rejected} keyOf={({ reason }) => reason} />
}
