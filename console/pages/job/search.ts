export interface JobSearch {
  tab?: string
}

export function jobSearch(given: Record<string, unknown>): JobSearch {
  const { tab } = given
  return typeof tab === 'string' && tab.length <= 40 ? { tab } : {}
}
