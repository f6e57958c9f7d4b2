// Two languages side by side: a text that lacks one does not compile. `{name}` takes a value; `one|other` goes by the count `n`.

export type Language = 'en' | 'zh-CN'

export type Texts = Readonly<Record<string, readonly [en: string, zh: string]>>
export type Values = Readonly<Record<string, string | number>>

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
