import { useEffect, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import type { ProblemError } from '../../api/problem.ts'
import { type Lines, noLines } from './lines.ts'
import { readLog } from './read.ts'

/** Of a fast log so many times a second is drawn. */
const drawn_ms = 100

export type LogState = 'reading' | 'following' | 'over' | ProblemError

/** The lines of a job's log; `count` changes when there are more. */
export function useLog(job_id: string): { lines: Lines; count: number; state: LogState } {
  const api = useApi()
  const [lines, setLines] = useState(noLines)
  const [count, setCount] = useState(0)
  const [state, setState] = useState<LogState>('reading')
  useEffect(() => {
    const gone = new AbortController()
    const fresh = noLines()
    setLines(fresh)
    setCount(0)
    let timer: ReturnType<typeof setTimeout> | null = null
    const draw = () => {
      timer = null
      setCount(fresh.all.length)
    }
    let drawn = false
    const onMore = () => {
      // What comes first is drawn at once.
      if (!drawn) {
        drawn = true
        draw()
      } else timer ??= setTimeout(draw, drawn_ms)
    }
    void readLog({ api, job_id, lines: fresh, signal: gone.signal, onMore, onState: setState })
    return () => {
      gone.abort()
      if (timer !== null) clearTimeout(timer)
    }
  }, [api, job_id])
  return { lines, count, state }
}
