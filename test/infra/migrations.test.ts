import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'

const folder = resolve(import.meta.dirname, '../../migrations')

/** Installations have run these, in this order: a new one comes after all of them, or their databases do not start. */
const released = [
  '0001_initial',
  '0002_budgets',
  '0003_orphans',
  '0004_restore',
  '0005_placement',
  '0006_sweeps',
  '0007_result_cache',
  '0008_reads',
  '0010_datasets',
  '0011_logs',
  '0012_events_webhooks',
  '0013_dispatch',
]

test('a new migration comes after all that installations have run', () => {
  const names = readdirSync(folder).map((file) => file.replace(/\.ts$/, ''))
  expect(names.toSorted().slice(0, released.length)).toEqual(released)
})
