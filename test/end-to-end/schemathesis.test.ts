import { describe, expect, test } from 'vitest'
import { openMigratedDesk } from '../support/migrated-desk.ts'
import { noSchemathesis, runSchemathesis } from '../support/schemathesis.ts'

/** A bound against a hang: it takes a minute on two idle cores. `npm run bench -- fuzz` sends more, from other seeds. */
const timeout_ms = 900_000

describe.skipIf(noSchemathesis !== null)('what the document allows, and what it does not', () => {
  test(
    'is answered, and never by a 5xx',
    async () => {
      await using desk = await openMigratedDesk()
      const { url, key } = desk.server()
      const { output, ...fuzzed } = await runSchemathesis(url, key, { examples: 40, seed: 1 })
      expect([fuzzed, output]).toEqual([
        { requests: expect.any(Number) as number, failed: 0, code: 0 },
        expect.anything(),
      ])
      expect(fuzzed.requests).toBeGreaterThan(3_000)
      expect((await desk.request('/readyz')).status).toBe(200)
    },
    timeout_ms,
  )
})
