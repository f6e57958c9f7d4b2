// Text for terminals. What a server or a program sent is shown, never obeyed.
import { once } from 'node:events'
import { stripVTControlCharacters, styleText } from 'node:util'
import type { Io } from './io.ts'

/**
 * Takes from foreign text everything that a terminal would act on: ANSI sequences go, other control
 * characters (also the 8-bit ones, which some terminals obey) and those that turn the direction of
 * writing become visible. Line ends and tabs stay; a carriage return alone, which would overwrite, ends a line.
 */
export function harmless(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
    .replaceAll(/[\p{Cc}\p{Bidi_Control}]/gu, visible)
}

/** Unicode has a picture of each of the first 32 control characters from U+2400 on. */
function visible(control: string): string {
  if (control === '\n' || control === '\t') return control
  const code = control.charCodeAt(0)
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : '\uFFFD'
}

/** The same on one line. */
export const oneLine = (text: string) => harmless(text).replaceAll(/[\n\t]/g, ' ')

/** Writes, and waits where the reader is slower. */
export async function write(stream: Io['stdout'], text: string): Promise<void> {
  if (text !== '' && !stream.write(text)) await once(stream, 'drain')
}

export type Style = 'red' | 'green' | 'yellow' | 'dim' | 'bold'

/** Colours only on a terminal, and never with NO_COLOR (https://no-color.org). */
export function paint(io: Io, stream: Io['stdout'], style: Style, text: string): string {
  return hasColours(io, stream) ? styleText(style, text, { validateStream: false }) : text
}

export function hasColours(io: Io, stream: Io['stdout']): boolean {
  return stream.isTTY === true && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb'
}

/** Columns as wide as their widest cell; the one named `flexible` gives way to the terminal's width. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  options: { width?: number | undefined; flexible?: string; right?: readonly string[] } = {},
): string {
  const cells = [head, ...rows].map((row) => row.map(oneLine))
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const flexible = head.indexOf(options.flexible ?? '')
  if (options.width !== undefined && flexible >= 0) {
    const others = widths.reduce((sum, width, column) => (column === flexible ? sum : sum + width + 2), 0)
    widths[flexible] = Math.max(minFlexible, Math.min(widths[flexible] ?? 0, options.width - others))
  }
  const pad = (text: string, column: number) => {
    const width = widths[column] ?? 0
    const short = text.length > width ? `${text.slice(0, width - 1)}…` : text
    return options.right?.includes(head[column] ?? '') ? short.padStart(width) : short.padEnd(width)
  }
  return cells.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`).join('')
}

/** Narrower than this a name says nothing, and the line may wrap. */
const minFlexible = 8

export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.round(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
  return `${Math.floor(minutes / 1440)} d`
}

export const usd = (amount: number) => `$${amount.toFixed(6)}`

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length, Math.floor(Math.log2(count) / 10))
  return `${(count / 1024 ** power).toFixed(1)} ${units[power - 1]}`
}
