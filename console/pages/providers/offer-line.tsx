import { memo } from 'react'
import type { Offer } from '../../api/types.ts'
import { clockTime } from '../../text/format.ts'
import { offerTexts } from '../../text/providers.ts'
import { reasonTexts } from '../../text/reasons.ts'
import { useLanguage, useText, useWord } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Money } from '../../ui/money.tsx'
import { Ago } from '../../ui/time.tsx'

const line =
  'grid h-full items-center gap-3 px-4 grid-cols-[minmax(0,1fr)_6rem_6rem] ' +
  'lg:grid-cols-[minmax(0,13rem)_minmax(0,1fr)_8rem_6.5rem_6.5rem_minmax(0,17rem)]'

export const offerKey = ({ provider, account, region, offer, spot }: Offer) =>
  [provider, account, region, offer, spot].join('/')

export function OfferHead() {
  const t = useText(offerTexts)
  return (
    <div role="row" className={`${line} h-8! text-xs text-muted`}>
      <span role="columnheader">{t('gpu')}</span>
      <span role="columnheader" className="hidden lg:block">
        {t('provider')}
      </span>
      <span role="columnheader" className="hidden lg:block">
        {t('shape')}
      </span>
      <span role="columnheader" className="text-right">
        {t('price')}
      </span>
      <span role="columnheader" className="hidden text-right lg:block">
        {t('perGpu')}
      </span>
      <span role="columnheader">{t('stock')}</span>
    </div>
  )
}

export const OfferLine = memo(function OfferLine({
  offer,
  onOpen,
}: {
  offer: Offer
  onOpen: (offer: Offer) => void
}) {
  const t = useText(offerTexts)
  const { gpu, spot, usd_per_hour } = offer
  return (
    <div className={line}>
      <span role="cell" className="flex min-w-0 items-center gap-2">
        <button
          type="button"
          onClick={() => onOpen(offer)}
          className="min-h-6 truncate text-left font-medium hover:underline"
        >
          {nameOf(gpu, t('noGpu'))}
        </button>
        {gpu === null || gpu.memory_gib === 0 ? null : (
          <span className="hidden shrink-0 text-muted sm:inline">{gpu.memory_gib} GiB</span>
        )}
        {spot ? <Badge tone="warn">{t('spot')}</Badge> : null}
      </span>
      <span role="cell" className="hidden truncate lg:block" title={offerKey(offer)}>
        {offer.provider}{' '}
        <span className="text-muted">{[offer.account, offer.region, offer.offer].join(' · ')}</span>
      </span>
      <span role="cell" className="hidden truncate text-muted lg:block">
        {offer.cpu} · {offer.memory_gib} GiB
      </span>
      <span role="cell" className="text-right font-medium">
        <Money usd={usd_per_hour} />
      </span>
      <span role="cell" className="hidden text-right text-muted lg:block">
        {gpu === null ? '–' : <Money usd={usd_per_hour / gpu.count} />}
      </span>
      <span role="cell" className="truncate">
        <Stock offer={offer} />
      </span>
    </div>
  )
})

const nameOf = (gpu: Offer['gpu'], none: string) =>
  gpu === null ? none : `${gpu.count > 1 ? `${gpu.count} × ` : ''}${gpu.model}`

/** What it is, in a word or two. */
export function OfferName({ offer: { gpu, spot, offer } }: { offer: Offer }) {
  const t = useText(offerTexts)
  return (
    <span className="flex items-center gap-2" title={offer}>
      <span className="font-medium">{nameOf(gpu, t('noGpu'))}</span>
      {spot ? <Badge tone="warn">{t('spot')}</Badge> : null}
    </span>
  )
}

/** Whether a launch would be taken, and what is remembered if not. */
export function Stock({ offer: { blocked, stale_since, available, slots, running } }: { offer: Offer }) {
  const t = useText(offerTexts)
  const word = useWord(reasonTexts)
  const language = useLanguage()
  if (blocked !== null) {
    const reason = word(blocked.reason)
    return (
      <span className="text-bad">{t('blocked', { reason, time: clockTime(blocked.until, language) })}</span>
    )
  }
  if (stale_since !== null)
    return (
      <span className="text-warn">
        {t('stale')} <Ago at={stale_since} />
      </span>
    )
  if (slots !== null)
    return (
      <span className={running >= slots ? 'text-warn' : 'text-muted'}>{t('slots', { running, slots })}</span>
    )
  if (available === null) return <span className="text-muted">{t('unknownStock')}</span>
  return <span className={available > 0 ? 'text-good' : 'text-bad'}>{t('left', { n: available })}</span>
}
