// Two languages side by side: a text that lacks one does not compile. `{name}` takes a value; `one|other` goes by the count `n`.
import { createContext, type ReactNode, useContext, useEffect, useMemo } from 'react'

export const languages = ['en', 'zh-CN'] as const
export type Language = (typeof languages)[number]

export type Texts = Readonly<Record<string, readonly [en: string, zh: string]>>
export type Values = Readonly<Record<string, string | number>>

const LanguageContext = createContext<Language>('en')
export const useLanguage = (): Language => useContext(LanguageContext)

export function LanguageProvider({ language, children }: { language: Language; children: ReactNode }) {
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  return <LanguageContext value={language}>{children}</LanguageContext>
}

/** The texts of one part of the console in the language of now. */
export function useText<Known extends Texts>(texts: Known): (key: keyof Known, values?: Values) => string {
  const language = useLanguage()
  return useMemo(() => (key, values) => textOf(texts[key] ?? ['', ''], language, values), [texts, language])
}

export function textOf([en, zh]: readonly [string, string], language: Language, values: Values = {}): string {
  const whole = language === 'en' ? en : zh
  const forms = whole.split('|')
  const { n } = values
  const chosen = forms.length === 2 && typeof n === 'number' ? forms[n === 1 ? 0 : 1] : whole
  return (chosen ?? whole).replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name] ?? ''
    return typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : value
  })
}

/** The language of the browser, if it is one of ours. */
export const languageOf = (wanted: readonly string[]): Language =>
  wanted
    .find((tag) => /^(en|zh)\b/i.test(tag))
    ?.toLowerCase()
    .startsWith('zh')
    ? 'zh-CN'
    : 'en'
