import type { ReactNode } from 'react'

/** One figure that says something at a glance. */
export function Stat({
  name,
  value,
  about,
  tone = 'text-text',
  children,
}: {
  name: string
  value: ReactNode
  about?: ReactNode
  tone?: string
  children?: ReactNode
}) {
  return (
    <section className="flex min-w-0 flex-col rounded-lg border border-line bg-surface px-4 py-3">
      <h2 className="text-xs text-muted">{name}</h2>
      <p className={`tnum mt-1 text-2xl leading-8 font-semibold ${tone}`}>{value}</p>
      {about ? <div className="text-[13px] text-muted">{about}</div> : null}
      {children}
    </section>
  )
}

/** A share of a bound as a bar. */
export function Meter({ share, label }: { share: number; label: string }) {
  const full = Math.min(1, Math.max(0, share))
  return (
    <div
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(full * 100)}
      className="mt-2 h-1.5 overflow-hidden rounded-full bg-idle-wash"
    >
      <div
        className={`h-full rounded-full ${share >= 1 ? 'bg-bad' : share >= 0.8 ? 'bg-warn' : 'bg-accent'}`}
        style={{ width: `${full * 100}%` }}
      />
    </div>
  )
}

/** A bar a day. */
export function DayBars({
  days,
  label,
  format,
}: {
  days: readonly { day: string; value: number }[]
  label: string
  format: (value: number) => string
}) {
  const most = Math.max(1e-9, ...days.map(({ value }) => value))
  return (
    <div role="img" aria-label={label} className="flex h-full min-h-10 items-end gap-px">
      {days.map(({ day, value }) => (
        <span key={day} title={`${day}: ${format(value)}`} className="flex h-full min-w-0 flex-1 items-end">
          <span
            className={`w-full rounded-t-xs ${value > 0 ? 'bg-accent' : 'bg-line'}`}
            style={{ height: value > 0 ? `${Math.max(4, (100 * value) / most)}%` : '2px' }}
          />
        </span>
      ))}
    </div>
  )
}
