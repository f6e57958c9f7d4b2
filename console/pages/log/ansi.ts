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
/** Written by their codes: CSI sequences, OSC sequences, single escapes, and other control characters but the tab. */
const control = String.raw`[\u0000-\u0008\u000b-\u001f\u007f]`
const escapes = new RegExp(
  String.raw`\u001b\[([\d;]*)([A-Za-z])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b.|${control}`,
  'g',
)
const anyControl = new RegExp(control)

export function partsOf(line: string): Part[] {
  // A bar that a program draws over and over: what it drew last.
  const shown = line.slice(line.trimEnd().lastIndexOf('\r') + 1)
  if (!anyControl.test(shown)) return [{ text: shown, style: null }]
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

interface Look {
  colour: string | null
  bold: boolean
}

function styleOf(codes: string, before: string | null): string | null {
  const look: Look = {
    colour: before?.split(' ').find((name) => name.startsWith('text-')) ?? null,
    bold: before?.includes('font-bold') ?? false,
  }
  const numbers = codes === '' ? [0] : codes.split(';').map(Number)
  for (let n = 0; n < numbers.length; n++) {
    const code = numbers[n] ?? 0
    // 256 colours and true colour: their arguments are no codes.
    if (code === 38 || code === 48) n += numbers[n + 1] === 5 ? 2 : 4
    else apply(look, code)
  }
  return [look.colour, look.bold ? 'font-bold' : null].filter(Boolean).join(' ') || null
}

function apply(look: Look, code: number): void {
  const tens = Math.floor(code / 10)
  if (code === 0) Object.assign(look, { colour: null, bold: false })
  else if (code === 1 || code === 22) look.bold = code === 1
  else if (code === 39) look.colour = null
  else if ((tens === 3 || tens === 9) && code % 10 < 8) look.colour = colours[code % 10] ?? null
}
