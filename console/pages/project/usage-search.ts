export const usageGroups = ['day', 'kind', 'provider', 'label'] as const
export const usageSpans = [7, 30, 90, 365] as const

export interface UsageSearch {
  group?: (typeof usageGroups)[number]
  label?: string
  days?: number
}

export function usageSearch(given: Record<string, unknown>): UsageSearch {
  const found: UsageSearch = {}
  const group = usageGroups.find((each) => each === given['group'])
  if (group !== undefined) found.group = group
  const { label } = given
  if (typeof label === 'string' && label !== '') found.label = label.slice(0, 63)
  const days = usageSpans.find((each) => each === Number(given['days']))
  if (days !== undefined) found.days = days
  return found
}
