// What a person has chosen for this browser: theme, language, which colour is up.
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react'
import { LanguageProvider } from './language.tsx'
import { type Language, languageOf } from './texts.ts'

export type Theme = 'system' | 'light' | 'dark'
/** In mainland China red is up; elsewhere green. */
export type Rise = 'auto' | 'red' | 'green'

export interface Prefs {
  theme: Theme
  language: Language | 'auto'
  rise: Rise
}

const name = 'berth.prefs'
const initial: Prefs = { theme: 'system', language: 'auto', rise: 'auto' }

interface Known {
  prefs: Prefs
  change: (patch: Partial<Prefs>) => void
  /** What holds now. */
  isDark: boolean
  redIsUp: boolean
}

const PrefsContext = createContext<Known | null>(null)

export function usePrefs(): Known {
  const known = useContext(PrefsContext)
  if (known === null) throw new Error('no PrefsProvider')
  return known
}

export function PrefsProvider({ children }: { children: ReactNode }) {
  const [prefs, setPrefs] = useState(readPrefs)
  const systemDark = useSystemDark()
  const isDark = prefs.theme === 'dark' || (prefs.theme === 'system' && systemDark)
  const language = prefs.language === 'auto' ? languageOf(navigator.languages) : prefs.language
  const redIsUp = prefs.rise === 'red' || (prefs.rise === 'auto' && language === 'zh-CN')
  useEffect(() => {
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light'
  }, [isDark])
  const known = useMemo<Known>(
    () => ({
      prefs,
      isDark,
      redIsUp,
      change: (patch) =>
        setPrefs((before) => {
          const after = { ...before, ...patch }
          localStorage.setItem(name, JSON.stringify(after))
          return after
        }),
    }),
    [prefs, isDark, redIsUp],
  )
  return (
    <PrefsContext value={known}>
      <LanguageProvider language={language}>{children}</LanguageProvider>
    </PrefsContext>
  )
}

export function readPrefs(): Prefs {
  try {
    return { ...initial, ...(JSON.parse(localStorage.getItem(name) ?? '{}') as Partial<Prefs>) }
  } catch {
    // Someone else's text under our name: as if nothing had been chosen.
    return initial
  }
}

function useSystemDark(): boolean {
  const [media] = useState(() => matchMedia('(prefers-color-scheme: dark)'))
  const [isDark, setDark] = useState(media.matches)
  useEffect(() => {
    const changed = () => setDark(media.matches)
    media.addEventListener('change', changed)
    return () => media.removeEventListener('change', changed)
  }, [media])
  return isDark
}
