import { useVirtualizer } from '@tanstack/react-virtual'
import { memo, useEffect, useRef } from 'react'
import { clockTime } from '../../text/format.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { logTexts } from '../../text/log.ts'
import { partsOf } from './ansi.ts'
import type { Line } from './lines.ts'

const line_px = 20
/** So near to the end counts as there. */
const near_px = 40

interface LogLinesProps {
  lines: readonly Line[]
  count: number
  wraps: boolean
  times: boolean
  names_shard: boolean
  follows: boolean
  onFollow: (follows: boolean) => void
  wanted: string
  /** The line of the match that one looks at. */
  current: number | null
}

export function LogLines(props: LogLinesProps) {
  const { lines, count, wraps, follows, onFollow, current } = props
  const t = useText(logTexts)
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => line_px,
    overscan: 30,
  })
  useEffect(() => {
    if (follows && count > 0) virtual.scrollToIndex(count - 1, { align: 'end' })
  }, [follows, count, virtual])
  useEffect(() => {
    if (current !== null) virtual.scrollToIndex(current, { align: 'center' })
  }, [current, virtual])
  const items = virtual.getVirtualItems()
  return (
    <div
      ref={scroller}
      role="log"
      aria-live="off"
      aria-label={t('log')}
      tabIndex={0}
      className="min-h-0 flex-1 overflow-auto bg-sunken py-1 font-mono text-xs leading-5"
      onWheel={({ deltaY, currentTarget: at }) => {
        if (deltaY < 0) onFollow(false)
        else if (at.scrollHeight - at.scrollTop - at.clientHeight < near_px) onFollow(true)
      }}
    >
      <div
        className={`relative ${wraps ? '' : 'w-max min-w-full'}`}
        style={{ height: virtual.getTotalSize() }}
      >
        <div
          className="absolute inset-x-0 top-0"
          style={{ transform: `translateY(${items[0]?.start ?? 0}px)` }}
        >
          {items.map(({ index, key }) => {
            const line = lines[index]
            return line === undefined ? null : (
              <div key={key} data-index={index} ref={wraps ? virtual.measureElement : undefined}>
                <OneLine
                  line={line}
                  text={line.text}
                  number={index + 1}
                  wraps={wraps}
                  times={props.times}
                  names_shard={props.names_shard}
                  wanted={props.wanted}
                  isCurrent={index === current}
                />
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

interface OneLineProps {
  line: Line
  /** Of a line that is not whole yet there may be more. */
  text: string
  number: number
  wraps: boolean
  times: boolean
  names_shard: boolean
  wanted: string
  isCurrent: boolean
}

const streams: Record<Line['stream'], string> = {
  stdout: '',
  stderr: 'text-warn',
  runner: 'text-faint italic',
}

const OneLine = memo(function OneLine({
  line,
  text,
  number,
  wraps,
  times,
  names_shard,
  wanted,
  isCurrent,
}: OneLineProps) {
  const language = useLanguage()
  return (
    <div
      className={`flex min-h-5 px-4 ${isCurrent ? 'bg-accent-wash' : ''} ${wraps ? '' : 'whitespace-pre'}`}
    >
      <span aria-hidden className="tnum w-14 shrink-0 pr-4 text-right text-faint select-none">
        {number}
      </span>
      {times ? (
        <span className="tnum shrink-0 pr-4 text-faint select-none">{clockTime(line.at, language)}</span>
      ) : null}
      {names_shard ? <span className="shrink-0 pr-4 text-faint select-none">{line.shard}</span> : null}
      <span
        className={`${streams[line.stream]} ${wraps ? 'min-w-0 flex-1 break-all whitespace-pre-wrap' : ''}`}
      >
        {partsOf(text).map((part, n) => (
          <span key={n} className={part.style ?? undefined}>
            <Marked text={part.text} wanted={wanted} />
          </span>
        ))}
      </span>
    </div>
  )
})

function Marked({ text, wanted }: { text: string; wanted: string }) {
  if (wanted === '') return text
  const parts: React.ReactNode[] = []
  const [low, needle] = [text.toLowerCase(), wanted.toLowerCase()]
  let at = 0
  for (let hit = low.indexOf(needle); hit !== -1; hit = low.indexOf(needle, at)) {
    parts.push(
      text.slice(at, hit),
      <mark key={hit} className="rounded-xs bg-warn-wash text-warn">
        {text.slice(hit, hit + needle.length)}
      </mark>,
    )
    at = hit + needle.length
  }
  return [...parts, text.slice(at)]
}
