import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { offerHistoryQuery } from '../../api/providers.ts'
import type { Offer } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { money } from '../../text/format.ts'
import { offerTexts } from '../../text/providers.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Facts } from '../../ui/facts.tsx'
import { Line } from '../../ui/line.tsx'
import { Ago } from '../../ui/time.tsx'

export function OfferHistory({ offer, onClose }: { offer: Offer | null; onClose: () => void }) {
  const t = useText(offerTexts)
  const c = useText(common)
  return (
    <Dialog
      open={offer !== null}
      onClose={onClose}
      title={t('history')}
      about={offer === null ? '' : [offer.provider, offer.account, offer.region, offer.offer].join(' · ')}
      close_label={c('close')}
      wide
    >
      {offer === null ? null : <Changes offer={offer} />}
    </Dialog>
  )
}

function Changes({ offer }: { offer: Offer }) {
  const t = useText(offerTexts)
  const language = useLanguage()
  const { provider, account, region, offer: name, spot, price } = offer
  const query = useQuery(offerHistoryQuery(useApi(), { provider, account, region, offer: name, spot }))
  return (
    <>
      <Facts
        items={[
          [t('price'), money(offer.usd_per_hour, language)],
          price.rate === null
            ? null
            : [
                price.currency,
                t('rate', { currency: `${price.per_hour} ${price.currency}`, rate: price.rate.per_usd }),
              ],
          price.source === null ? null : ['', price.source],
        ]}
      />
      <Asked query={query} rows={3}>
        {({ items }) => {
          const shown = items.map((change) => ({ ...change, at: new Date(change.at).getTime() }))
          if (shown.length < 2) return <p className="text-muted">{t('noHistory')}</p>
          return (
            <div className="flex flex-col gap-3">
              <Line
                label={t('price')}
                readings={shown.map(({ at, usd_per_hour }) => ({ at, value: usd_per_hour }))}
                format={(value) => money(value, language)}
              />
              {shown.some(({ available }) => available !== null) ? (
                <Line
                  label={t('stock')}
                  readings={shown.map(({ at, available, listed }) => ({
                    at,
                    value: listed ? (available ?? 0) : 0,
                  }))}
                  format={(value) => String(value)}
                />
              ) : null}
              <p className="text-[13px] text-muted">
                <Ago at={items[0]?.at ?? ''} />
              </p>
            </div>
          )
        }}
      </Asked>
    </>
  )
}
