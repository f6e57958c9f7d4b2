export interface NewJobSearch {
  /** The job to begin with. */
  from?: string
  template?: string
}

export function newJobSearch(given: Record<string, unknown>): NewJobSearch {
  const found: NewJobSearch = {}
  for (const name of ['from', 'template'] as const) {
    const text = given[name]
    if (typeof text === 'string' && text.length <= 64) found[name] = text
  }
  return found
}
