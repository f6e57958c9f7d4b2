// When each part of a job was at work, and how each attempt ended: a line a part over the whole time of the job.
import type { Attempt, Job } from '../../api/types.ts'
import { duration } from '../../text/format.ts'
import { stateTexts } from '../../text/common.ts'
import { timelineTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Tip } from '../../ui/tip.tsx'
import { useNow } from '../../ui/time.tsx'

/** A bar that is thinner cannot be pointed at. */
const least_percent = 0.6

export function Bars({ job, attempts }: { job: Job; attempts: readonly Attempt[] }) {
  const t = useText(timelineTexts)
  const language = useLanguage()
  const now = useNow(1_000, job.finished_at === null)
  const begin = new Date(job.created_at).getTime()
  const ends = attempts.flatMap(({ ended_at }) => (ended_at === null ? [] : [new Date(ended_at).getTime()]))
  const isOpen = job.finished_at === null || attempts.some(({ ended_at }) => ended_at === null)
  const end = Math.max(
    begin + 1_000,
    isOpen ? now.getTime() : Math.max(...ends, new Date(job.finished_at ?? 0).getTime()),
  )
  const share = (at: string | null) =>
    (100 * ((at === null ? end : new Date(at).getTime()) - begin)) / (end - begin)
  const shards = [...Map.groupBy(attempts, ({ shard }) => shard)].toSorted(([a], [b]) => a - b)
  return (
    <div className="px-4 py-3 text-xs">
      <ul className="flex flex-col gap-1">
        {shards.map(([shard, of]) => (
          <li key={shard} className="flex items-center gap-3">
            <span className="w-16 shrink-0 truncate text-muted">
              {shard >= job.shards.total ? t('merge') : t('part', { n: shard })}
            </span>
            <span className="relative h-5 min-w-0 flex-1 rounded bg-sunken">
              {of.map((attempt) => (
                <Bar
                  key={attempt.id}
                  attempt={attempt}
                  from={share(attempt.created_at)}
                  to={share(attempt.ended_at)}
                />
              ))}
            </span>
          </li>
        ))}
      </ul>
      <div className="tnum mt-1 flex justify-between pl-19 text-muted">
        <span>0</span>
        <span>{duration((end - begin) / 2_000, language)}</span>
        <span>{duration((end - begin) / 1_000, language)}</span>
      </div>
    </div>
  )
}

const fills: Record<string, string> = {
  succeeded: 'bg-good',
  failed: 'bg-bad',
  timed_out: 'bg-bad',
  over_budget: 'bg-bad',
  rejected: 'bg-bad',
  image_error: 'bg-bad',
  preempted: 'bg-warn',
  lost: 'bg-warn',
  no_capacity: 'bg-warn',
  quota: 'bg-warn',
}

function Bar({ attempt, from, to }: { attempt: Attempt; from: number; to: number }) {
  const s = useText(stateTexts)
  const { outcome, state, provider, offer, number } = attempt
  const word = s(outcome ?? state)
  const fill = outcome === null ? 'bg-live' : (fills[outcome] ?? 'bg-faint')
  return (
    <Tip text={`${number} · ${provider} ${offer} · ${word}`}>
      <span
        role="img"
        tabIndex={0}
        aria-label={`${number}, ${provider} ${offer}, ${word}`}
        className={`absolute inset-y-0.5 rounded-sm ${fill} ${outcome === null ? 'animate-breathe' : ''}`}
        style={{ left: `${from}%`, width: `${Math.max(least_percent, to - from)}%` }}
      />
    </Tip>
  )
}
