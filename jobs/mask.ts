// Secrets that programs print by mistake are not stored. What is known by its form is replaced; a value without a form
// of its own is recognised by the name before it.

const mark = '[masked]'

/** Forms that nothing but a credential has, each with the vendor that gives it out. */
const forms: readonly RegExp[] = [
  // Berth's tokens of runners and machines, API keys and webhook secrets.
  /\b(?:brt_|brb_|brk_|berth_|whsec_)[A-Za-z0-9_.+/=-]{16,}/g,
  // AWS, Alibaba Cloud and Tencent Cloud access key ids.
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bLTAI[A-Za-z0-9]{12,26}\b/g,
  /\bAKID[A-Za-z0-9]{13,40}\b/g,
  // GitHub, GitLab, Slack, OpenAI-style, RunPod and Hugging Face tokens.
  /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}|xox[abprs]-[\w-]{10,})/g,
  /\b(?:sk|rpa|hf)[-_][A-Za-z0-9_-]{20,}/g,
  // JSON web tokens.
  /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}/g,
  // PEM private keys, whole or cut off by the end of the chunk.
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
]
/** `Authorization: Basic ...` and a bearer of its own: the scheme stays. */
const schemes =
  /\b(authorization["']?\s{0,3}[:=]\s{0,3}["']?[a-z]{1,20}\s{1,3}|bearer\s{1,3}(?=\S{16}))[A-Za-z0-9._~+/=-]{4,}/gi
/** Passwords in addresses: the user stays. */
const addresses = /\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]{0,100}):[^\s@/]{1,200}@/gi
/** `password=...`, `"api_key": "..."`, `AWS_SECRET_ACCESS_KEY=...`: the name stays. */
const named =
  /\b([A-Za-z0-9_.-]{0,40}(?:password|passwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?token|access[_-]?token)[A-Za-z0-9_-]{0,20}["']?\s{0,3}[=:]\s{0,3}["']?)([^\s"',;&]{4,})/gi

/** The text without what looks like a secret. Linear in its length. */
export function masked(text: string): string {
  if (!mayHold.test(text)) return text
  const without = forms.reduce((left, form) => left.replace(form, mark), text)
  return without
    .replace(schemes, (_, scheme: string) => `${scheme}${mark}`)
    .replace(addresses, (_, user: string) => `${user}:${mark}@`)
    .replace(named, (_, name: string) => `${name}${mark}`)
}

/** Shorter values are words of any text. */
const leastValue = 6

/** A mask for values that are known: whole, each line of them, and as programs write them in JSON, addresses and base64. */
export function maskFor(values: readonly string[]): (text: string) => string {
  const wanted = values.flatMap((value) => [value, ...value.split('\n')]).map((value) => value.trim())
  const written = wanted.filter(({ length }) => length >= leastValue).flatMap(spellings)
  // The longest first: of one that begins with another the rest would stay.
  const known = [...new Set(written)].toSorted((a, b) => b.length - a.length)
  return (text) => known.reduce((left, each) => left.replaceAll(each, mark), text)
}

/** A value as libraries write it into other text. */
function spellings(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1)
  const address = encodeURIComponent(value.toWellFormed())
  // Python and Java escape what JavaScript leaves, and paths keep their slashes.
  const strict = address.replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)
  return [
    value,
    json,
    json.replace(/[\u0080-\uffff]/g, (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`),
    ...[address, strict].flatMap((each) => [each, each.replaceAll('%2F', '/'), each.replaceAll('%20', '+')]),
    ...inBase64(Buffer.from(value)),
  ]
}

/**
 * What base64 of any text makes of a value in it: its bytes begin at one of three places in a group, and what stands beside them changes
 * the groups at both ends. At most two bytes of the value are left there.
 */
function inBase64(bytes: Uint8Array): string[] {
  return [0, 1, 2].flatMap((skipped) => {
    const whole = Math.floor((bytes.length - skipped) / 3) * 3
    const text = Buffer.from(bytes.subarray(skipped, skipped + whole)).toString('base64')
    return text.length < leastBase64 ? [] : [text, text.replaceAll('+', '-').replaceAll('/', '_')]
  })
}
/** Six bytes: fewer may be in any base64 by chance. */
const leastBase64 = 8

/** Most text holds none of these words, and is looked through once. */
const mayHold =
  /brt_|brb_|brk_|berth_|whsec_|AKIA|ASIA|LTAI|AKID|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|(?:sk|rpa|hf)[-_]|eyJ|PRIVATE KEY|bearer|authorization|token|:\/\/|passw|secret|key/i
