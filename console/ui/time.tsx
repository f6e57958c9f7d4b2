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
