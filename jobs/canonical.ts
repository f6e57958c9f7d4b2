import { hash } from 'node:crypto'

/** The same body gives the same hash whatever the order of its fields. */
export function canonicalSha256(value: unknown): string {
  return hash('sha256', canonical(value), 'hex')
}

// A pass writes this of each job that it looks at, a submit several times.
function canonical(value: unknown): string {
  if (typeof value === 'string') return quoted(value)
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  let text = ''
  if (Array.isArray(value)) {
    for (const each of value) text += `${text === '' ? '' : ','}${canonical(each)}`
    return `[${text}]`
  }
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(fields).sort()) {
    if (fields[name] === undefined) continue
    text += `${text === '' ? '' : ','}${quoted(name)}:${canonical(fields[name])}`
  }
  return `{${text}}`
}

/** Most texts have nothing that JSON writes otherwise, and are compared faster than written. */
const quoted = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))
const plain = /^[ !#-[\]-~]*$/
