import { useMutation, useQuery } from '@tanstack/react-query'
import { answered } from '../../api/client.ts'
import { useApi } from '../../api/context.tsx'
import { explainQuery, specQuery } from '../../api/job.ts'
import type { Job, JobBody } from '../../api/types.ts'
import { Asked, Problem } from '../../parts/problem.tsx'
import { OfferRanking, RejectedOffers } from '../../parts/ranking.tsx'
import { useWhyNot } from '../../parts/rights.ts'
import { stateTexts } from '../../text/common.ts'
import { duration } from '../../text/format.ts'
import { explainTexts } from '../../text/job.ts'
import { useLanguage, useText, useWord } from '../../text/language.tsx'
import { reasonTexts } from '../../text/reasons.ts'
import { Button } from '../../ui/button.tsx'
import { Facts } from '../../ui/facts.tsx'
import { Panel } from '../../ui/page.tsx'
import { Ago, At } from '../../ui/time.tsx'

/** Of one that has ended it is the outcome. */
const codeTexts = { ...stateTexts, ...reasonTexts }

/** While it waits the reasons change without an event. */
const waiting_ms = 5_000

export function ExplainTab({ job }: { job: Job }) {
  const t = useText(explainTexts)
  const word = useWord(codeTexts)
  const language = useLanguage()
  const query = useQuery({
    ...explainQuery(useApi(), job.id),
    refetchInterval: job.state === 'queued' ? waiting_ms : false,
  })
  return (
    <Asked query={query}>
      {({ reason, since, queue_position, next_try_at, eta_s, offers, rejected }) => (
        <div className="flex flex-col gap-4 p-4">
          <Panel title={t('why')}>
            <p className="px-4 py-3">
              {/* The server says it in English. */}
              {language === 'en' ? null : <span className="font-medium">{word(reason.code)} </span>}
              {reason.text}
            </p>
            <Facts
              items={[
                [t('since'), <Ago key="s" at={since} />],
                queue_position === null ? null : [t('position'), queue_position],
                next_try_at === null ? null : [t('nextTry'), <At key="n" at={next_try_at} />],
                eta_s === null ? null : [t('eta'), duration(eta_s, language)],
              ]}
            />
          </Panel>
          <Panel title={t('offers')}>
            <OfferRanking offers={offers} />
          </Panel>
          {rejected.length === 0 ? null : (
            <Panel title={t('rejected')}>
              <RejectedOffers rejected={rejected} />
            </Panel>
          )}
          <Elsewhere id={job.id} />
        </div>
      )}
    </Asked>
  )
}

/** What the same work would cost if it might go anywhere. */
function Elsewhere({ id }: { id: string }) {
  const t = useText(explainTexts)
  const api = useApi()
  const mayNot = useWhyNot('member')
  const spec = useQuery(specQuery(api, id))
  const estimate = useMutation({
    mutationFn: async () => {
      const { placement: _, webhook: __, ...rest } = spec.data ?? {}
      return answered(
        api.routes.v1.jobs.estimate.$post({ json: { ...rest, placement: { spot: 'allow' } } as JobBody }),
      )
    },
  })
  return (
    <Panel
      title={t('elsewhere')}
      actions={
        <Button
          small
          why_not={mayNot}
          busy={estimate.isPending || spec.isPending}
          onClick={() => estimate.mutate()}
        >
          {t('showOffers')}
        </Button>
      }
    >
      <p className="px-4 py-3 text-[13px] text-muted">{t('elsewhereAbout')}</p>
      {estimate.isError ? <Problem error={estimate.error} /> : null}
      {estimate.data === undefined ? null : (
        <>
          <OfferRanking offers={estimate.data.offers} />
          <RejectedOffers rejected={estimate.data.rejected} />
        </>
      )}
    </Panel>
  )
}
