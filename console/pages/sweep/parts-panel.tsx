import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { attemptsQuery } from '../../api/job.ts'
import type { Attempt, Job } from '../../api/types.ts'
import { stateTexts } from '../../text/common.ts'
import { useText } from '../../text/language.tsx'
import { sweepTexts } from '../../text/sweep.ts'
import { Panel } from '../../ui/page.tsx'
import { Tip } from '../../ui/tip.tsx'

const looks = {
  waiting: 'bg-idle-wash',
  active: 'bg-live animate-breathe',
  succeeded: 'bg-good',
  failed: 'bg-bad',
} as const

/** Each part of a sweep by the state of its newest attempt. */
export function PartsPanel({ job }: { job: Job }) {
  const t = useText(sweepTexts)
  const s = useText(stateTexts)
  const { data } = useQuery(attemptsQuery(useApi(), job.id))
  const newest = new Map<number, Attempt>()
  for (const attempt of data?.items ?? []) if (!newest.has(attempt.shard)) newest.set(attempt.shard, attempt)
  const { total, succeeded, failed } = job.shards
  return (
    <Panel title={`${t('progress')} · ${t('progressAbout', { n: total, done: succeeded + failed })}`}>
      <ul className="flex flex-wrap gap-1 px-4 py-3">
        {Array.from({ length: total }, (_, shard) => {
          const attempt = newest.get(shard)
          const state = stateOf(attempt)
          const place = attempt ? `${attempt.provider} · ${attempt.device ?? attempt.offer}` : ''
          const text = `${t('part', { n: shard })}: ${s(state)}${place === '' ? '' : ` · ${place}`}`
          return (
            <li key={shard}>
              <Tip text={text}>
                <button
                  type="button"
                  aria-label={text}
                  className={`h-6 w-9 cursor-default rounded text-[11px] ${looks[state]} ${state === 'waiting' ? 'text-muted' : 'text-on-accent'}`}
                >
                  {shard}
                </button>
              </Tip>
            </li>
          )
        })}
      </ul>
    </Panel>
  )
}

function stateOf(attempt: Attempt | undefined): keyof typeof looks {
  if (attempt === undefined) return 'waiting'
  if (attempt.outcome === null) return 'active'
  return attempt.outcome === 'succeeded' || attempt.outcome === 'stopped' ? 'succeeded' : 'failed'
}
