// Log chunks as lines for people.
import type { LogLine } from './client.ts'
import { harmless } from './text.ts'

/** A line that does not end is shown in pieces of this size. */
const maxPartial_characters = 64 * 1024

/**
 * Answers the whole lines that a chunk completes. A chunk may end anywhere, and those of several attempts
 * and streams come mixed, so each source is kept apart; all but the first attempt of the first shard are
 * marked `[shard.attempt]`.
 */
export function createLogLines() {
  const partial = new Map<string, { prefix: string; text: string }>()
  return {
    take(chunk: LogLine): string {
      const { shard, attempt, stream } = chunk
      const source = `${shard}.${attempt}.${stream}`
      const prefix =
        (shard === 0 && attempt === 1 ? '' : `[${shard}.${attempt}] `) +
        (stream === 'runner' ? 'runner: ' : '')
      const text = (partial.get(source)?.text ?? '') + chunk.text
      const cut = text.length > maxPartial_characters ? text.length : text.lastIndexOf('\n') + 1
      if (cut < text.length) partial.set(source, { prefix, text: text.slice(cut) })
      else partial.delete(source)
      return shown(prefix, text.slice(0, cut))
    },
    /** What came without a line end. */
    rest(): string {
      const lines = [...partial.values()].map(({ prefix, text }) => shown(prefix, text)).join('')
      partial.clear()
      return lines
    },
  }
}

function shown(prefix: string, text: string): string {
  const lines = harmless(text).replace(/\n$/, '')
  return text === '' ? '' : `${prefix}${lines.replaceAll('\n', `\n${prefix}`)}\n`
}
