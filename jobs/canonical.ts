import { hash } from 'node:crypto'

/** The same body gives the same hash whatever the order of its fields. */
export function canonicalSha256(value: unknown): string {
  return hash('sha256', canonical(value), 'hex')
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const fields = value as Record<string, unknown>
  // A pass writes this of each job that it looks at.
  let text = ''
  for (const name of Object.keys(fields).sort()) {
    if (fields[name] === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonical(fields[name])}`
  }
  return `{${text}}`
}
