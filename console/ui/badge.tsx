import type { ReactNode } from 'react'

export type Tone = 'good' | 'bad' | 'warn' | 'live' | 'idle'

const tones: Record<Tone, string> = {
  good: 'text-good bg-good-wash',
  bad: 'text-bad bg-bad-wash',
  warn: 'text-warn bg-warn-wash',
  live: 'text-live bg-live-wash',
  idle: 'text-idle bg-idle-wash',
}

export function Badge({ tone = 'idle', children }: { tone?: Tone; children: ReactNode }) {
  return (
    <span
      className={`inline-flex h-5 items-center gap-1 rounded px-1.5 text-xs font-medium whitespace-nowrap ${tones[tone]}`}
    >
      {children}
    </span>
  )
}

const dots: Record<Tone, string> = {
  good: 'bg-good',
  bad: 'bg-bad',
  warn: 'bg-warn',
  live: 'bg-live',
  idle: 'bg-faint',
}

export function Dot({ tone, moving = false }: { tone: Tone; moving?: boolean }) {
  return (
    <span
      aria-hidden
      className={`size-2 shrink-0 rounded-full ${dots[tone]} ${moving ? 'animate-breathe' : ''}`}
    />
  )
}
