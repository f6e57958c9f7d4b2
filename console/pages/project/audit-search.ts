export interface AuditSearch {
  of?: 'installation'
  action?: string
  actor?: string
  subject?: string
}

export function auditSearch(given: Record<string, unknown>): AuditSearch {
  const found: AuditSearch = given['of'] === 'installation' ? { of: 'installation' } : {}
  for (const name of ['action', 'actor', 'subject'] as const) {
    const text = given[name]
    if (typeof text === 'string' && text !== '') found[name] = text.slice(0, 300)
  }
  return found
}
