import { Link } from '@tanstack/react-router'
import type { Job } from '../../api/types.ts'
import { duration, money, percent } from '../../text/format.ts'
import { jobTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Badge } from '../../ui/badge.tsx'
import { Facts } from '../../ui/facts.tsx'
import { Money } from '../../ui/money.tsx'
import { Ago, useNow } from '../../ui/time.tsx'

export function JobFacts({ job }: { job: Job }) {
  const t = useText(jobTexts)
  const language = useLanguage()
  const { cost, shards, labels } = job
  const isOver = job.finished_at !== null
  const done = shards.succeeded + shards.failed
  return (
    <Facts
      items={[
        isOver
          ? null
          : [
              t('progress'),
              <span key="p" className="flex items-center gap-2">
                <span className="h-1.5 w-28 overflow-hidden rounded-full bg-idle-wash">
                  <span
                    className="block h-full rounded-full bg-live transition-[width]"
                    style={{ width: `${job.progress * 100}%` }}
                  />
                </span>
                <span className="tnum">{percent(job.progress, language)}</span>
                <span className="text-muted">{job.phase}</span>
              </span>,
            ],
        [job.started_at === null && !isOver ? t('waits') : t('took'), <Took key="t" job={job} />],
        [
          t('cost'),
          <span key="c" className="flex flex-wrap items-center gap-2">
            <GrowingCost job={job} />
            {cost.estimated_usd === null ? null : (
              <span className="text-muted">
                {t('estimated', { usd: money(cost.estimated_usd, language) })}
              </span>
            )}
            {cost.basis === 'modelled' ? <Badge>{t('modelled')}</Badge> : null}
            {cost.final ? <Badge>{t('final')}</Badge> : null}
          </span>,
        ],
        shards.total > 1 ? [t('parts'), t('partsOf', { done, total: shards.total })] : null,
        [t('priority'), t(`priority_${job.priority}`)],
        [t('created'), <Ago key="a" at={job.created_at} />],
        job.cached_from === null
          ? null
          : [
              t('cachedFrom'),
              <Link
                key="f"
                to="/jobs/$id"
                params={{ id: job.cached_from }}
                className="font-mono text-xs text-accent hover:underline"
              >
                {job.cached_from}
              </Link>,
            ],
        Object.keys(labels).length === 0 ? null : ['', <Labels key="l" labels={labels} />],
      ]}
    />
  )
}

function Labels({ labels }: { labels: Job['labels'] }) {
  return (
    <span className="flex flex-wrap gap-1 pt-3">
      {Object.entries(labels).map(([name, value]) => (
        <Link key={name} to="/jobs" search={{ label: `${name}:${value}` }}>
          <Badge>
            {name}:{value}
          </Badge>
        </Link>
      ))}
    </span>
  )
}

function Took({ job: { created_at, started_at, finished_at } }: { job: Job }) {
  const language = useLanguage()
  const now = useNow(1_000, finished_at === null)
  const end = finished_at === null ? now : new Date(finished_at)
  const from = new Date(started_at ?? created_at)
  return <span className="tnum">{duration((end.getTime() - from.getTime()) / 1_000, language)}</span>
}

/** What is told, and what its open attempts add until it is told again. */
function GrowingCost({ job }: { job: Job }) {
  const now = useNow(500, !job.cost.final)
  const per_hour = job.attempts
    .filter(({ state }) => state !== 'ended')
    .reduce((sum, { usd_per_hour }) => sum + usd_per_hour, 0)
  return (
    <Grown
      key={job.cost.actual_usd}
      told={job.cost.actual_usd}
      per_hour={job.cost.final ? 0 : per_hour}
      now={now}
    />
  )
}

function Grown({ told, per_hour, now }: { told: number; per_hour: number; now: Date }) {
  const since = useNow(0, false)
  const hours = Math.max(0, now.getTime() - since.getTime()) / 3_600_000
  return <Money usd={Math.round((told + per_hour * hours) * 1e6) / 1e6} />
}
