// The simulation can fail: each of these mistakes is found by a seed, and by what it breaks.
import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import { defects } from './defects.ts'
import { runDefects } from './seeds.ts'

/** A bound against a hang. */
const timeout_ms = 900_000

test.skipIf(isPostgres)(
  'every deliberate defect is found, by what it breaks',
  async () => {
    const reports = await runDefects(defects.length, Math.min(2, availableParallelism()))
    const missed = defects.filter(({ by }, place) => !by.test(reports[place]?.violations.join('\n') ?? ''))
    expect(missed.map(({ name }) => name)).toEqual([])
  },
  timeout_ms,
)
