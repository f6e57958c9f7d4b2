// What a page shows while it has nothing to show: loading, nothing there, something wrong.
import { type ReactNode, useEffect, useState } from 'react'
import { Button } from './button.tsx'

/** A skeleton that comes at once would only flicker. */
const quiet_ms = 200

export function Skeleton({ rows = 6, label }: { rows?: number; label: string }) {
  const [shown, show] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => show(true), quiet_ms)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div role="status" aria-label={label} className="flex flex-col gap-2 p-4">
      {shown
        ? Array.from({ length: rows }, (_, row) => (
            <div
              key={row}
              className="h-5 animate-breathe rounded bg-idle-wash"
              style={{ width: `${92 - ((row * 17) % 40)}%` }}
            />
          ))
        : null}
    </div>
  )
}

/** `alone`: it is the page's only heading. */
export function Empty({
  title,
  children,
  action,
  alone = false,
}: {
  title: string
  children?: ReactNode
  action?: ReactNode
  alone?: boolean
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-14 text-center">
      {alone ? (
        <h1 className="text-[15px] font-semibold">{title}</h1>
      ) : (
        <h2 className="text-[15px] font-semibold">{title}</h2>
      )}
      <div className="max-w-prose text-muted">{children}</div>
      {action ? <div className="mt-2 flex flex-wrap justify-center gap-2">{action}</div> : null}
    </div>
  )
}

interface FailureProps {
  title: string
  detail: string
  /** Fields and what is wrong with them, a request id. */
  more?: readonly string[]
  retry?: { label: string; onRetry: () => void } | undefined
}

export function Failure({ title, detail, more = [], retry }: FailureProps) {
  return (
    <div role="alert" className="m-4 rounded-md border border-line bg-bad-wash px-4 py-3">
      <h2 className="font-semibold text-bad">{title}</h2>
      <p className="mt-1 break-words">{detail}</p>
      {more.length > 0 ? (
        <ul className="mt-1 list-disc pl-5 text-[13px]">
          {more.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      ) : null}
      {retry ? (
        <Button small className="mt-3" onClick={retry.onRetry}>
          {retry.label}
        </Button>
      ) : null}
    </div>
  )
}
