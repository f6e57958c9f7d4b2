// JSON as text, with line numbers and the place of what is wrong.
import { type UIEvent, useRef } from 'react'

export interface JsonFault {
  line: number
  what: string
}

/** null: it can be read. */
export function faultOf(text: string): JsonFault | null {
  try {
    JSON.parse(text)
    return null
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const at = Number(/position (\d+)/.exec(message)?.[1] ?? text.length)
    return {
      line: text.slice(0, at).split('\n').length,
      what: message.replace(/ in JSON at position.*$/, '').replace(/^JSON\.parse: /, ''),
    }
  }
}

interface JsonEditorProps {
  label: string
  text: string
  onChange: (text: string) => void
  fault: JsonFault | null
}

export function JsonEditor({ label, text, onChange, fault }: JsonEditorProps) {
  const gutter = useRef<HTMLDivElement>(null)
  const count = text.split('\n').length
  const scrolled = ({ currentTarget }: UIEvent<HTMLTextAreaElement>) => {
    if (gutter.current) gutter.current.scrollTop = currentTarget.scrollTop
  }
  return (
    <div className="flex min-h-60 flex-1 overflow-hidden rounded-md border border-line-strong bg-sunken font-mono text-xs leading-5 focus-within:outline-2 focus-within:outline-accent">
      <div ref={gutter} aria-hidden className="overflow-hidden py-2 text-right text-faint select-none">
        {Array.from({ length: count }, (_, n) => (
          <div key={n} className={`px-2 ${fault?.line === n + 1 ? 'bg-bad-wash text-bad' : ''}`}>
            {n + 1}
          </div>
        ))}
      </div>
      <textarea
        aria-label={label}
        aria-invalid={fault !== null || undefined}
        spellCheck={false}
        value={text}
        wrap="off"
        onChange={({ target }) => onChange(target.value)}
        onScroll={scrolled}
        className="min-h-0 flex-1 resize-none bg-transparent py-2 pr-2 outline-none"
      />
    </div>
  )
}
