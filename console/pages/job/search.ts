export interface JobSearch {
  tab?: string
  /** Which of the best points is shown, and of which symbol. */
  rank?: number | undefined
  symbol?: string | undefined
}

export function jobSearch(given: Record<string, unknown>): JobSearch {
  const { tab, rank, symbol } = given
  return {
    ...(typeof tab === 'string' && tab.length <= 40 ? { tab } : {}),
    ...(typeof rank === 'number' && Number.isSafeInteger(rank) && rank > 1 ? { rank } : {}),
    ...(typeof symbol === 'string' && symbol !== '' && symbol.length <= 100 ? { symbol } : {}),
  }
}
