// The language of now.
import { createContext, type ReactNode, useContext, useEffect, useMemo } from 'react'
import { type Language, textOf, type Texts, type Values } from './texts.ts'

const LanguageContext = createContext<Language>('en')
export const useLanguage = (): Language => useContext(LanguageContext)

export function LanguageProvider({ language, children }: { language: Language; children: ReactNode }) {
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  return <LanguageContext value={language}>{children}</LanguageContext>
}

/** Words for codes of the API in the language of now; a code without one stands for itself. */
export function useWord(words: Texts): (code: string) => string {
  const language = useLanguage()
  return useMemo(() => (code) => textOf(words[code] ?? [code, code], language), [words, language])
}

/** The texts of one part of the console in the language of now. */
export function useText<Known extends Texts>(texts: Known): (key: keyof Known, values?: Values) => string {
  const language = useLanguage()
  return useMemo(() => (key, values) => textOf(texts[key] ?? ['', ''], language, values), [texts, language])
}
