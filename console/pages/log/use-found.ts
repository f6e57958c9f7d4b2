import { useCallback, useEffect, useState } from 'react'
import type { Line } from './lines.ts'

/** Looked through before the browser has its turn again: some milliseconds. */
const slice = 40_000
/** Typing is over when nothing has come for so long. */
const typed_ms = 150

/** The lines that hold a text, whatever their case. */
export function useFound(lines: readonly Line[], count: number, wanted: string) {
  const [hits, setHits] = useState<readonly number[]>([])
  const [at, setAt] = useState(0)
  useEffect(() => {
    const needle = wanted.toLowerCase()
    if (needle === '') return setHits([])
    let isGone = false
    const timer = setTimeout(() => void look(), typed_ms)
    const look = async () => {
      const found: number[] = []
      for (let from = 0; from < count; from += slice) {
        for (let n = from; n < Math.min(count, from + slice); n++)
          if (lines[n]?.text.toLowerCase().includes(needle)) found.push(n)
        await new Promise((done) => setTimeout(done, 0))
        if (isGone) return
      }
      setHits(found)
      setAt((before) => Math.min(before, Math.max(0, found.length - 1)))
    }
    return () => {
      isGone = true
      clearTimeout(timer)
    }
  }, [lines, count, wanted])
  const total = hits.length
  const next = useCallback(() => setAt((before) => (total === 0 ? 0 : (before + 1) % total)), [total])
  const previous = useCallback(
    () => setAt((before) => (total === 0 ? 0 : (before + total - 1) % total)),
    [total],
  )
  return { total, at, line: hits[at] ?? null, next, previous }
}
