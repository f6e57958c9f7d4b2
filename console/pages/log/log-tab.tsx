import { useEffect, useMemo, useRef, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { saveAs } from '../../api/files.ts'
import { asProblem } from '../../api/problem.ts'
import type { Job } from '../../api/types.ts'
import { logTexts } from '../../text/log.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Check, inputClass } from '../../ui/field.tsx'
import { useKeys } from '../../ui/keyboard.ts'
import { Empty, Failure } from '../../ui/states.tsx'
import { plain } from './ansi.ts'
import type { Line } from './lines.ts'
import { LogLines } from './log-lines.tsx'
import { useFound } from './use-found.ts'
import { type LogState, useLog } from './use-log.ts'

export function LogTab({ job }: { job: Job }) {
  const t = useText(logTexts)
  const { lines, count, state } = useLog(job.id)
  const [shard, setShard] = useState<number | null>(null)
  const [wraps, setWraps] = useState(false)
  const [times, setTimes] = useState(false)
  const [follows, setFollows] = useState(job.finished_at === null)
  const [wanted, setWanted] = useState('')
  // Of one part its lines are picked out anew when more come; of all parts nothing is copied.
  const shown = useMemo(
    () => (shard === null ? lines.all : count >= 0 ? lines.all.filter((line) => line.shard === shard) : []),
    [lines, shard, count],
  )
  const length = shard === null ? count : shown.length
  const found = useFound(shown, length, wanted)
  const input = useSearchKeys(found)
  useEffect(() => {
    if (found.line !== null) setFollows(false)
  }, [found.line])
  return (
    <div className="flex min-h-80 flex-1 flex-col">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b border-line px-4 py-2 text-[13px]">
        <input
          ref={input}
          type="search"
          aria-label={t('search')}
          placeholder={t('search')}
          className={`${inputClass} w-52!`}
          value={wanted}
          onChange={({ target }) => setWanted(target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') (event.shiftKey ? found.previous : found.next)()
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
        {wanted === '' ? null : (
          <span className="tnum text-muted" role="status">
            {found.total === 0 ? t('noMatch') : t('matches', { at: found.at + 1, n: found.total })}
          </span>
        )}
        {job.shards.total > 1 ? <Shards total={job.shards.total} shard={shard} onShard={setShard} /> : null}
        <span className="flex-1" />
        <span className="text-muted" role="status">
          {t('lines', { n: count })} · {typeof state === 'string' ? t(state) : '…'}
        </span>
        <Check label={t('times')} checked={times} onChange={({ target }) => setTimes(target.checked)} />
        <Check label={t('wrap')} checked={wraps} onChange={({ target }) => setWraps(target.checked)} />
        <Check label={t('follow')} checked={follows} onChange={({ target }) => setFollows(target.checked)} />
        <DownloadLog job={job} lines={lines.all} isWhole={state === 'over'} />
      </div>
      <Body state={state} job={job} isEmpty={length === 0}>
        <LogLines
          key={`${job.id}/${shard}/${wraps}`}
          lines={shown}
          count={length}
          wraps={wraps}
          times={times}
          names_shard={shard === null && job.shards.total > 1}
          follows={follows}
          onFollow={setFollows}
          wanted={wanted}
          current={found.line}
        />
      </Body>
    </div>
  )
}

function useSearchKeys({ next, previous }: Pick<ReturnType<typeof useFound>, 'next' | 'previous'>) {
  const input = useRef<HTMLInputElement>(null)
  const keys = useMemo(() => ({ '/': () => input.current?.focus(), n: next, N: previous }), [next, previous])
  useKeys(keys)
  return input
}

function Body({
  state,
  job,
  isEmpty,
  children,
}: {
  state: LogState
  job: Job
  isEmpty: boolean
  children: React.ReactNode
}) {
  const t = useText(logTexts)
  if (typeof state !== 'string' && isEmpty)
    return <Failure title={t('away')} detail={asProblem(state).message} />
  if (isEmpty && state !== 'reading')
    return <Empty title={job.finished_at === null ? t('noneYet') : t('none')} />
  return children
}

function Shards({
  total,
  shard,
  onShard,
}: {
  total: number
  shard: number | null
  onShard: (shard: number | null) => void
}) {
  const t = useText(logTexts)
  return (
    <select
      aria-label={t('part')}
      className={`${inputClass} w-28!`}
      value={shard ?? ''}
      onChange={({ target }) => onShard(target.value === '' ? null : Number(target.value))}
    >
      <option value="">{t('allParts')}</option>
      {Array.from({ length: total }, (_, index) => (
        <option key={index} value={index}>
          {t('part')} {index}
        </option>
      ))}
    </select>
  )
}

/** Characters of a read log that one piece of the file is made of. */
const linesAtOnce = 50_000

function DownloadLog({ job, lines, isWhole }: { job: Job; lines: readonly Line[]; isWhole: boolean }) {
  const t = useText(logTexts)
  const api = useApi()
  const [busy, setBusy] = useState(false)
  const save = async () => {
    setBusy(true)
    try {
      const parts = isWhole ? textOf(lines) : await readWhole(api.send, job.id)
      saveAs(new Blob(parts, { type: 'text/plain' }), `${job.id}.log`)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Button small busy={busy} onClick={() => void save()}>
      {t('download')}
    </Button>
  )
}

function textOf(lines: readonly Line[]): string[] {
  const parts: string[] = []
  for (let at = 0; at < lines.length; at += linesAtOnce)
    parts.push(
      lines
        .slice(at, at + linesAtOnce)
        .map(({ text }) => `${plain(text)}\n`)
        .join(''),
    )
  return parts
}

async function readWhole(send: (path: string) => Promise<Response>, id: string): Promise<string[]> {
  const parts: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const answer: Response = await send(
      `/v1/jobs/${id}/logs?${new URLSearchParams({ format: 'text', limit: '100', cursor })}`,
    )
    parts.push(await answer.text())
    cursor = answer.headers.get('berth-next-cursor')
  }
  return parts
}
