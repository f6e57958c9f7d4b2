// States of jobs and attempts as words with a colour; the word alone says it too.
import { Badge, Dot, type Tone } from '../ui/badge.tsx'
import { stateTexts } from '../text/common.ts'
import { useText } from '../text/language.tsx'

export type AnyState = keyof typeof stateTexts

const toneOf: Record<AnyState, Tone> = {
  queued: 'idle',
  scheduled: 'warn',
  running: 'live',
  cancelling: 'warn',
  succeeded: 'good',
  failed: 'bad',
  cancelled: 'idle',
  waiting: 'idle',
  active: 'live',
  launching: 'warn',
  starting: 'warn',
  stopping: 'warn',
  ended: 'idle',
  timed_out: 'bad',
  over_budget: 'bad',
  stopped: 'idle',
  preempted: 'warn',
  lost: 'warn',
  no_capacity: 'warn',
  quota: 'warn',
  rejected: 'bad',
  image_error: 'bad',
}
const moving: ReadonlySet<AnyState> = new Set([
  'scheduled',
  'running',
  'cancelling',
  'launching',
  'starting',
  'stopping',
])

export function StateBadge({ state }: { state: AnyState }) {
  const t = useText(stateTexts)
  return (
    <Badge tone={toneOf[state]}>
      <Dot tone={toneOf[state]} moving={moving.has(state)} />
      {t(state)}
    </Badge>
  )
}

export function StateWord({ state }: { state: AnyState }) {
  const t = useText(stateTexts)
  return (
    <span className="inline-flex items-center gap-2 whitespace-nowrap">
      <Dot tone={toneOf[state]} moving={moving.has(state)} />
      {t(state)}
    </span>
  )
}
