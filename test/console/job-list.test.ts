// The list of jobs as the console keeps it: pages of text, read by the number of a row.
import { QueryClient } from '@tanstack/react-query'
import { expect, test } from 'vitest'
import { createRowReader, type JobRow, pageOf, type RowPage, rowsOf } from '../../console/api/job-rows.ts'
import { isListed, patchRows, withHead } from '../../console/api/jobs.ts'

const row = (id: string, state: JobRow['state'] = 'queued') =>
  ({ id, state, finished_at: state === 'succeeded' ? '2026-03-02T09:00:00Z' : null }) as JobRow
const rowsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, n) => row(`job_${first + n}`))
const told = (pages: readonly RowPage[]) =>
  pages.map((page) => rowsOf(page).map(({ id, state }) => `${id} ${state}`))

test('new jobs stand before those that are shown, and those keep their places', () => {
  const shown = {
    pages: [pageOf([row('c'), row('b')], 'b'), pageOf([row('a')], null)],
    pageParams: [null, 'b'],
  }
  const after = withHead(shown, pageOf([row('d'), row('c', 'running')], 'c'))
  expect(told(after.pages)).toEqual([['d queued', 'c running', 'b queued'], ['a queued']])
  // More came than a page holds: what is between is not known.
  expect(withHead(shown, pageOf([row('z')], 'z')).pages).toHaveLength(1)
})

test('jobs that a page has no more room for begin another before it', () => {
  const shown = { pages: [pageOf(rowsFrom(0, 100), 'next')], pageParams: [null] }
  const { pages, pageParams } = withHead(shown, pageOf([row('new'), ...rowsFrom(0, 99)], 'head'))
  expect([pages.map(({ count }) => count), pageParams]).toEqual([
    [1, 100],
    [null, null],
  ])
  expect(pages.at(-1)?.next_cursor).toBe('next')
})

test('a list of one state lets go of a job that has another; the others show what it has become', () => {
  const cache = new QueryClient()
  const all = { pages: [pageOf([row('b', 'running'), row('a', 'running')], null)], pageParams: [null] }
  cache.setQueryData(['jobs', {}], all)
  cache.setQueryData(['jobs', { state: 'running' }], all)
  expect([isListed(cache, 'b'), isListed(cache, 'unknown')]).toEqual([true, false])
  patchRows(cache, 'b', (before) => ({ ...before, state: 'succeeded' }))
  patchRows(cache, 'unknown', (before) => ({ ...before, state: 'failed' }))
  const shown = (filters: object) => told(cache.getQueryData<typeof all>(['jobs', filters])?.pages ?? [])
  expect(shown({})).toEqual([['b succeeded', 'a running']])
  expect(shown({ state: 'running' })).toEqual([['a running']])
})

test('rows are found by their number on whatever page they are, empty pages among them', () => {
  const read = createRowReader()
  const pages = [pageOf(rowsFrom(0, 3), 'a'), pageOf([], 'b'), pageOf(rowsFrom(3, 2), null)]
  const rows = read(pages)
  expect(rows.count).toBe(5)
  expect([-1, 0, 2, 3, 4, 5].map((index) => rows.at(index)?.id)).toEqual([
    undefined,
    'job_0',
    'job_2',
    'job_3',
    'job_4',
    undefined,
  ])
  expect(rows.ids()).toEqual(['job_0', 'job_1', 'job_2', 'job_3', 'job_4'])
  expect(read([]).at(0)).toBeUndefined()
})

test('of the jobs that are chosen those that have ended are not cancelled', () => {
  const rows = createRowReader()([
    pageOf([row('a'), row('b', 'succeeded')], 'b'),
    pageOf([row('c', 'running')], null),
  ])
  expect(rows.atWork(new Set(['a', 'b', 'c', 'elsewhere']))).toEqual(['a', 'c'])
  expect(rows.atWork(new Set(['b']))).toEqual([])
})

test('a row that has not changed stays the same object, however often its page changes', () => {
  const read = createRowReader()
  const before = pageOf(rowsFrom(0, 100), null)
  const first = read([before])
  const [kept, changed] = [first.at(7), first.at(8)]
  let page = before
  for (let n = 0; n < 50; n++) {
    page = pageOf(
      rowsOf(page).map((each) => (each.id === 'job_8' ? { ...each, progress: n / 50 } : each)),
      null,
    )
    expect(read([page]).at(7)).toBe(kept)
  }
  const last = read([page]).at(8)
  expect([last?.progress, last === changed]).toEqual([0.98, false])
})
