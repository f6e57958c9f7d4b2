// The colours that programs print, as parts of a line. Everything else that a terminal would do is left out: a log is text.

export interface Part {
  text: string
  /** Classes; null: plain. */
  style: string | null
}

const colours = [
  'text-faint',
  'text-bad',
  'text-good',
  'text-warn',
  'text-live',
  'text-accent',
  'text-accent',
  'text-text',
]
/** CSI sequences, OSC sequences, single escapes, and other control characters but the tab. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const escapes =
  /\u001b\[([\d;]*)([A-Za-z])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b.|[\u0000-\u0008\u000b-\u001f\u007f]/g

export function partsOf(line: string): Part[] {
  // A bar that a program draws over and over: what it drew last.
  const shown = line.slice(line.trimEnd().lastIndexOf('\r') + 1)
  if (!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(shown)) return [{ text: shown, style: null }]
  const parts: Part[] = []
  let at = 0
  let style: string | null = null
  const push = (text: string) => {
    if (text !== '') parts.push({ text, style })
  }
  for (const match of shown.matchAll(escapes)) {
    push(shown.slice(at, match.index))
    at = match.index + match[0].length
    if (match[2] === 'm') style = styleOf(match[1] ?? '', style)
  }
  push(shown.slice(at))
  return parts
}

export const plain = (line: string): string =>
  partsOf(line)
    .map(({ text }) => text)
    .join('')

function styleOf(codes: string, before: string | null): string | null {
  let colour = before?.split(' ').find((name) => name.startsWith('text-')) ?? null
  let bold = before?.includes('font-bold') ?? false
  const numbers = codes === '' ? [0] : codes.split(';').map(Number)
  for (let n = 0; n < numbers.length; n++) {
    const code = numbers[n] ?? 0
    if (code === 0) [colour, bold] = [null, false]
    else if (code === 1) bold = true
    else if (code === 22) bold = false
    else if (code === 39) colour = null
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) colour = colours[code % 10] ?? null
    // 256 colours and true colour: their arguments are no codes.
    else if (code === 38 || code === 48) n += numbers[n + 1] === 5 ? 2 : 4
  }
  return [colour, bold ? 'font-bold' : null].filter(Boolean).join(' ') || null
}
