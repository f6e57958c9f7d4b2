// `npm run openapi`: writes openapi.json from the routes. A test compares the two.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createApp, openapiInfo } from '../functions/_app.ts'
import type { Deps } from '../jobs/deps.ts'

/** The document as text; routes need no dependencies to describe themselves. */
export function openapiText(): string {
  const document = createApp({
    rates: null,
    settings: { cors_origins: [] as readonly string[] },
  } as Deps).getOpenAPI31Document(openapiInfo)
  return `${JSON.stringify(document, null, 2)}\n`
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, '..', 'openapi.json'), openapiText())
