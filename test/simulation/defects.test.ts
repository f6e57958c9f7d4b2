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
  async ({ annotate }) => {
    const reports = await runDefects(defects.length, Math.min(2, availableParallelism()))
    const missed = defects.filter(({ by }, place) => !by.test(reports[place]?.violations.join('\n') ?? ''))
    expect(missed.map(({ name }) => name)).toEqual([])
    // Each costs as much time as the seeds that were tried in vain: it is to be recorded anew.
    for (const [place, { name, seed }] of defects.entries()) {
      const found = reports[place]?.seed
      if (found !== seed) await annotate(`${name}: found by seed ${found}, and not by ${seed} any more`)
    }
  },
  timeout_ms,
)
