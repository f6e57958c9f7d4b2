import { useEffect, useState } from 'react'
import { ago, dateTime } from '../text/format.ts'
import { useLanguage } from '../text/language.tsx'
import { Tip } from './tip.tsx'

/** The time of now, moved on as often as what shows it needs. */
export function useNow(every_ms: number, runs = true): Date {
  const [now, setNow] = useState(() => new Date())
  useEffect(() => {
    if (!runs) return
    const timer = setInterval(() => setNow(new Date()), every_ms)
    return () => clearInterval(timer)
  }, [every_ms, runs])
  return now
}

/** How long ago in words; the viewer's own time and UTC when pointed at. */
export function Ago({ at }: { at: string }) {
  const language = useLanguage()
  const now = useNow(20_000)
  return (
    <Tip text={<BothTimes at={at} />}>
      <time dateTime={at} className="whitespace-nowrap">
        {ago(at, now, language)}
      </time>
    </Tip>
  )
}

/** The same without a tip of its own, for rows of which thousands pass by: the browser shows the title. */
export function QuickAgo({ at, now }: { at: string; now: Date }) {
  const language = useLanguage()
  return (
    <time
      dateTime={at}
      title={`${at.replace('T', ' ').replace(/\.\d+Z$|Z$/, '')} UTC`}
      className="whitespace-nowrap"
    >
      {ago(at, now, language)}
    </time>
  )
}

export function At({ at }: { at: string }) {
  const language = useLanguage()
  return (
    <Tip text={<BothTimes at={at} />}>
      <time dateTime={at} className="whitespace-nowrap">
        {dateTime(at, language)}
      </time>
    </Tip>
  )
}

function BothTimes({ at }: { at: string }) {
  const language = useLanguage()
  return (
    <span className="tnum">
      {dateTime(at, language)}
      <br />
      {at.replace('T', ' ').replace(/\.\d+Z$|Z$/, '')} UTC
    </span>
  )
}
