import { createContext, type ReactNode, useCallback, useContext, useMemo, useRef, useState } from 'react'
import { Dot, type Tone } from './badge.tsx'

interface Toast {
  id: number
  tone: Tone
  text: string
}

/** Long enough to be read twice. */
const shown_ms = 6_000
const maxToasts = 4

const ToastContext = createContext<(text: string, tone?: Tone) => void>(() => undefined)
/** Says something that needs no answer. */
export const useToast = () => useContext(ToastContext)

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<readonly Toast[]>([])
  const next = useRef(0)
  const tell = useCallback((text: string, tone: Tone = 'good') => {
    const id = next.current++
    setToasts((before) => [...before, { id, tone, text }].slice(-maxToasts))
    setTimeout(() => setToasts((before) => before.filter((toast) => toast.id !== id)), shown_ms)
  }, [])
  const value = useMemo(() => tell, [tell])
  return (
    <ToastContext value={value}>
      {children}
      <div
        role="status"
        aria-live="polite"
        className="pointer-events-none fixed right-3 bottom-3 z-50 flex w-80 max-w-[calc(100vw-1.5rem)] flex-col gap-2"
      >
        {toasts.map(({ id, tone, text }) => (
          <div
            key={id}
            className="flex items-center gap-2 rounded-md border border-line bg-raised px-3 py-2 text-[13px] shadow-pop"
          >
            <Dot tone={tone} />
            <span className="min-w-0 break-words">{text}</span>
          </div>
        ))}
      </div>
    </ToastContext>
  )
}
