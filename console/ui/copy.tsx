import Check from 'lucide-react/icons/check'
import Copy from 'lucide-react/icons/copy'
import { useState } from 'react'
import { Tip } from './tip.tsx'

const shown_ms = 1_500

/** A text that is copied by a click on it. */
export function CopyText({ text, label, shown = text }: { text: string; label: string; shown?: string }) {
  const [isCopied, setCopied] = useState(false)
  const copy = async () => {
    await navigator.clipboard.writeText(text)
    setCopied(true)
    setTimeout(() => setCopied(false), shown_ms)
  }
  const Icon = isCopied ? Check : Copy
  return (
    <Tip text={label}>
      <button
        type="button"
        onClick={() => void copy()}
        className="inline-flex min-h-6 max-w-full items-center gap-1.5 rounded font-mono text-xs text-muted hover:text-text"
      >
        <span className="truncate">{shown}</span>
        <Icon className="size-3.5 shrink-0" aria-label={label} />
      </button>
    </Tip>
  )
}
