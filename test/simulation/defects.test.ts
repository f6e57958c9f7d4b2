// The simulation can fail: each of these mistakes is found by its seed, and by what it breaks.
import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import { defects } from './defects.ts'
import { runDefects } from './seeds.ts'

/** A bound against a hang. */
const timeout_ms = 600_000

test.skipIf(isPostgres)(
  'every deliberate defect is found by its seed',
  async () => {
    const reports = await runDefects(defects.length, Math.min(2, availableParallelism()))
    const found = defects.map(({ name }, place) => [name, reports[place]?.violations ?? []] as const)
    expect(found.filter(([, violations]) => violations.length === 0).map(([name]) => name)).toEqual([])
    // Found for its own reason, and not by an accident beside it.
    for (const [place, { by, name }] of defects.entries())
      expect(`${name}: ${reports[place]?.violations.join('\n') ?? ''}`).toMatch(by)
  },
  timeout_ms,
)
