import { Link } from '@tanstack/react-router'
import { OfferRanking, RejectedOffers } from '../../parts/ranking.tsx'
import { money } from '../../text/format.ts'
import { newTexts } from '../../text/new.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Panel } from '../../ui/page.tsx'
import type { Estimated } from './use-estimate.ts'

export function EstimatePanel({ estimate: { data, problem, busy } }: { estimate: Estimated }) {
  const t = useText(newTexts)
  const language = useLanguage()
  const [best] = data?.offers ?? []
  return (
    <Panel
      title={t('estimate')}
      className="shrink-0 lg:max-h-[45%] lg:overflow-y-auto!"
      actions={
        <span role="status" className="text-xs text-muted">
          {busy ? t('thinking') : ''}
        </span>
      }
    >
      {problem === null ? null : (
        <div role="alert" className="bg-bad-wash px-4 py-3 text-[13px]">
          <p className="font-semibold text-bad">{t('invalid')}</p>
          {problem.errors.length === 0 ? <p>{problem.message}</p> : null}
          <ul className="list-disc pl-5">
            {problem.errors.map(({ path, message }) => (
              <li key={path + message}>
                <span className="font-mono text-xs">{path}</span> {message}
              </li>
            ))}
          </ul>
        </div>
      )}
      {data === undefined ? null : (
        <>
          <p className="px-4 pt-3 text-[15px] font-semibold">
            {data.estimated_usd === null || best === undefined
              ? t('noEstimate')
              : t('estimated', {
                  usd: money(data.estimated_usd, language),
                  offer: `${best.provider} ${best.offer}`,
                })}
            {data.shards > 1 ? (
              <span className="ml-2 text-[13px] font-normal text-muted">
                {t('parts', { n: data.shards })}
              </span>
            ) : null}
          </p>
          {data.cached === null ? null : (
            <p className="px-4 text-[13px] text-good">
              {t('cachedHint')}{' '}
              <Link to="/jobs/$id" params={{ id: data.cached }} className="underline">
                {t('openCached')}
              </Link>
            </p>
          )}
          {data.warnings.map(({ code, message }) => (
            <p key={code + message} className="px-4 text-[13px] text-warn">
              {message}
            </p>
          ))}
          <div className="pt-2">
            <OfferRanking offers={data.offers} />
            <RejectedOffers rejected={data.rejected} />
          </div>
        </>
      )}
    </Panel>
  )
}
