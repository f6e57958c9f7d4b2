/** How long lines of each class are kept, in days: what broke is looked for longest, and who asked what is told to the fewest. */
export const keptDays = { system: 30, api: 7, gpu: 30, job: 90, error: 180 } as const
export type LogClass = keyof typeof keptDays

export const isClass = (text: unknown): text is LogClass =>
  typeof text === 'string' && Object.hasOwn(keptDays, text)

/** What broke is kept as such, whatever it is about; a line may say its class itself. */
export function classOf(level: 'debug' | 'info' | 'warn' | 'error', fields: object): LogClass {
  if (level === 'error') return 'error'
  if ('class' in fields && isClass(fields.class)) return fields.class
  if ('method' in fields) return 'api'
  return 'attempt' in fields || 'job' in fields || 'shard' in fields ? 'job' : 'system'
}
