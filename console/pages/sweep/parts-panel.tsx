import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { attemptsQuery, machinesQuery } from '../../api/job.ts'
import type { Attempt, Job } from '../../api/types.ts'
import { stateTexts } from '../../text/common.ts'
import { percent } from '../../text/format.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Panel } from '../../ui/page.tsx'
import { Tip } from '../../ui/tip.tsx'

const looks = {
  waiting: '',
  active: 'bg-live',
  succeeded: 'bg-good',
  failed: 'bg-bad',
} as const

/** Runners tell of their progress every few seconds. */
const look_ms = 5_000

/** Each part of a sweep: the state of its newest attempt, and how far that is. */
export function PartsPanel({ job }: { job: Job }) {
  const t = useText(sweepTexts)
  const api = useApi()
  const isOver = job.finished_at !== null
  const { data } = useQuery(attemptsQuery(api, job.id))
  const machines = useQuery({
    ...machinesQuery(api, job.id),
    enabled: !isOver,
    refetchInterval: isOver ? false : look_ms,
  })
  const progress = new Map((machines.data?.items ?? []).map((each) => [each.shard, each.progress]))
  const newest = new Map<number, Attempt>()
  for (const attempt of data?.items ?? []) if (!newest.has(attempt.shard)) newest.set(attempt.shard, attempt)
  const { total, succeeded, failed } = job.shards
  return (
    <Panel title={`${t('progress')} · ${t('progressAbout', { n: total, done: succeeded + failed })}`}>
      <ul className="flex flex-wrap gap-1 px-4 py-3">
        {Array.from({ length: total }, (_, shard) => (
          <Part
            key={shard}
            shard={shard}
            attempt={newest.get(shard)}
            progress={progress.get(shard) ?? null}
          />
        ))}
      </ul>
    </Panel>
  )
}

interface PartProps {
  shard: number
  attempt: Attempt | undefined
  progress: number | null
}

function Part({ shard, attempt, progress }: PartProps) {
  const t = useText(sweepTexts)
  const s = useText(stateTexts)
  const language = useLanguage()
  const state = stateOf(attempt)
  const share = state === 'active' && progress !== null ? percent(progress, language) : ''
  const place = attempt ? `${attempt.provider} · ${attempt.device ?? attempt.offer}` : ''
  const text = [t('part', { n: shard }), s(state), share, place].filter((each) => each !== '').join(' · ')
  const filled = state === 'waiting' ? 0 : state === 'active' ? (progress ?? 0) : 1
  return (
    <li>
      <Tip text={text}>
        <button
          type="button"
          aria-label={text}
          className="flex h-9 w-16 cursor-default flex-col justify-center gap-1 rounded border border-line bg-surface px-2 text-[11px]"
        >
          <span className="tnum flex w-full justify-between">
            <span className="text-muted">{shard}</span>
            <span>{share}</span>
          </span>
          <span className="h-1 w-full overflow-hidden rounded-full bg-idle-wash">
            <span
              className={`block h-full rounded-full ${looks[state]}`}
              style={{ width: `${100 * filled}%` }}
            />
          </span>
        </button>
      </Tip>
    </li>
  )
}

function stateOf(attempt: Attempt | undefined): keyof typeof looks {
  if (attempt === undefined) return 'waiting'
  if (attempt.outcome === null) return 'active'
  return attempt.outcome === 'succeeded' || attempt.outcome === 'stopped' ? 'succeeded' : 'failed'
}
