import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { keepCredentials, keyInFragment } from '../../console/api/credential.ts'
import { partsOf, plain } from '../../console/pages/log/ansi.ts'
import { addChunks, cursorOf, noLines } from '../../console/pages/log/lines.ts'
import { jobsSearch } from '../../console/pages/jobs/search.ts'
import { templates } from '../../console/pages/new/templates.ts'
import { ago, bytes, duration, money } from '../../console/text/format.ts'
import { fieldKind, listOf, withField } from '../../console/ui/schema.ts'
import { jobSpec } from '../../jobs/spec.ts'

const texts = join(import.meta.dirname, '..', '..', 'console', 'text')

test('every text is in both languages, with the same values in it', async () => {
  const files = readdirSync(texts).filter(
    (name) => name.endsWith('.ts') && !['format.ts', 'texts.ts'].includes(name),
  )
  expect(files.length).toBeGreaterThan(8)
  for (const file of files) {
    const tables = Object.values((await import(join(texts, file))) as Record<string, Record<string, unknown>>)
    for (const [key, text] of tables.flatMap((table) => Object.entries(table))) {
      const [en, zh] = text as [string, string]
      const valuesIn = (one: string) => [...new Set(one.match(/\{\w+\}/g))].toSorted()
      expect
        .soft([file, key, en === '', zh === '', valuesIn(zh)])
        .toEqual([file, key, false, false, valuesIn(en)])
    }
  }
})

test('the address says what jobs are filtered by, and nothing else', () => {
  const asked = {
    state: 'failed',
    label: 'desk:alpha',
    kind: '',
    provider: 7,
    evil: 'x',
    created_after: '2026-01-01',
  }
  expect(jobsSearch(asked)).toEqual({ state: 'failed', label: 'desk:alpha', created_after: '2026-01-01' })
  expect(jobsSearch({ state: 'sleeping' })).toEqual({})
})

test('money is exact, durations have two units at most, sizes and ages read as people say them', () => {
  expect([money(0.000013, 'en'), money(12.5, 'en'), money(0, 'en')]).toEqual(['$0.000013', '$12.50', '$0.00'])
  expect([duration(0.25, 'en'), duration(3.21, 'en'), duration(65, 'en'), duration(3_900, 'zh-CN')]).toEqual([
    '250 ms',
    '3.2 s',
    '1 min 05 s',
    '1 小时 05 分',
  ])
  expect([bytes(0, 'en'), bytes(1_536, 'en'), bytes(5 * 1024 ** 3, 'en')]).toEqual([
    '0 B',
    '1.5 KiB',
    '5 GiB',
  ])
  expect(ago('2026-03-02T08:57:00Z', new Date('2026-03-02T09:00:00Z'), 'en')).toBe('3 min. ago')
})

describe('a log', () => {
  test('is put together from chunks that end within a line, each part by itself', () => {
    const lines = noLines()
    const chunk = { attempt: 1, at: '2026-03-02T09:00:00Z', stream: 'stdout' } as const
    addChunks(lines, [{ ...chunk, shard: 0, number: 1, text: 'one\ntw' }])
    addChunks(lines, [{ ...chunk, shard: 1, number: 1, text: 'other\n' }])
    addChunks(lines, [{ ...chunk, shard: 0, number: 2, text: 'o\n\nend' }])
    expect(lines.all.map(({ text }) => text)).toEqual(['one', 'two', 'other', '', 'end'])
    expect(cursorOf(lines)).toBe('0.1:2,1.1:1')
  })

  test('keeps the colours of a terminal and nothing else of it', () => {
    expect(partsOf('\u001b[1;31mfailed\u001b[0m at \u001b[38;5;200mstep\u001b[2K 3')).toEqual([
      { text: 'failed', style: 'text-bad font-bold' },
      { text: ' at ', style: null },
      { text: 'step', style: null },
      { text: ' 3', style: null },
    ])
    expect(plain('10 %\r50 %\r100 %')).toBe('100 %')
    expect(plain('\u001b]0;title\u0007<b>text</b>\u0000')).toBe('<b>text</b>')
  })
})

test('a key is kept for the tab, or for the browser if asked, and leaves nothing behind', () => {
  const store = () => {
    const kept = new Map<string, string>()
    return {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => void kept.set(name, value),
      removeItem: (name: string) => void kept.delete(name),
      size: () => kept.size,
    }
  }
  const [tab, browser] = [store(), store()]
  const credentials = keepCredentials(tab as never, browser as never)
  credentials.useKey('brt_one', false)
  expect([tab.size(), browser.size(), credentials.now()]).toEqual([1, 0, { kind: 'key', key: 'brt_one' }])
  credentials.useKey('brt_two', true)
  expect([tab.size(), browser.size()]).toEqual([0, 1])
  credentials.forget()
  expect([tab.size(), browser.size(), credentials.now()]).toEqual([0, 0, null])
  expect([keyInFragment('#key=brt_three'), keyInFragment('#key=a%20b'), keyInFragment('')]).toEqual([
    'brt_three',
    null,
    null,
  ])
})

test('a form asks as its schema says, and leaves out what is empty', () => {
  expect(fieldKind({ type: ['string', 'null'] }, {})).toBe('text')
  expect(fieldKind({ type: 'array', items: { type: 'string' } }, {})).toBe('texts')
  expect(fieldKind({ oneOf: [] }, {})).toBe('json')
  expect(fieldKind({ type: 'object', properties: {} }, {})).toBe('object')
  const spec = { kind: 'backtest', params: { data: { start: '2010-01-01' } } }
  expect(withField(spec, ['params', 'data', 'end'], '2019-12-31')).toEqual({
    kind: 'backtest',
    params: { data: { start: '2010-01-01', end: '2019-12-31' } },
  })
  expect(withField(spec, ['params', 'data', 'start'], undefined)).toEqual({ kind: 'backtest' })
  expect([listOf(' a, b ,'), listOf(' ')]).toEqual([['a', 'b'], null])
})

test.each(templates)('the template $id is a job that the API takes', ({ spec }) => {
  expect(jobSpec.safeParse(spec).error).toBeUndefined()
})
