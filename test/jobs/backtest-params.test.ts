import { expect, test } from 'vitest'
import { pointsOf } from '../../jobs/kinds/backtest-strategy.ts'
import { barUpdates } from '../../jobs/kinds/backtest-work.ts'
import { backtestInputs, backtestParams } from '../../jobs/kinds/backtest.ts'
import { pointsOf as shardPoints } from '../../jobs/kinds/kind.ts'

const spec = (name: string, parameters: object, more: object = {}) => ({
  data: { dataset: 'sample:sp500-20' },
  strategy: { name },
  parameters,
  ...more,
})

function faults(params: unknown): string[] {
  const { error } = backtestParams.safeParse(params)
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('each built-in strategy takes its own parameters, and stops', () => {
  const good: [string, object][] = [
    ['sma_cross', { fast: 5, slow: { range: [10, 50, 10] } }],
    ['ema_cross', { fast: { values: [5, 7] } }],
    ['macd', { fast: 12, slow: 26, signal: 9 }],
    ['rsi', { window: 14, lower: { range: [20, 40, 2.5] }, exit: 50, upper: { range: [100, 100, 1] } }],
    ['bollinger', { width: 1.5, stop_loss: 0.05 }],
    ['zscore', { enter: 2, exit: -1 }],
    ['donchian', { window: 20, exit: 10 }],
    ['buy_and_hold', { trailing_stop: 0.2 }],
  ]
  for (const [name, parameters] of good) expect(faults(spec(name, parameters))).toEqual([])
})

test('a value that a strategy cannot take is refused with its field', () => {
  expect(faults(spec('rsi', { fast: 5 }))[0]).toMatch(/^parameters\.fast: is not a parameter of rsi/)
  expect(faults(spec('rsi', { window: 2.5 }))).toEqual([
    'parameters.window: must be a whole number of bars above 0, not 2.5',
  ])
  expect(faults(spec('rsi', { upper: { range: [90, 110, 10] } }))).toEqual([
    'parameters.upper: must be from 0 to 100, not 110',
  ])
  expect(faults(spec('zscore', { exit: null }))).toEqual(['parameters.exit: must be a number'])
  expect(faults(spec('donchian', { stop_loss: 1.5 }))[0]).toMatch(/^parameters\.stop_loss: is a fraction/)
  expect(faults(spec('momentum', {}))[0]).toMatch(/^strategy\.name: is not available in this version/)
})

test('a purse may be shared, and its order given', () => {
  expect(faults(spec('rsi', {}, { portfolio: { mode: 'shared', call_sequence: 'given' } }))).toEqual([])
  expect(faults(spec('rsi', {}, { portfolio: { mode: 'both' } }))).toHaveLength(1)
})

test('signals are fetched like prices, and take only stops', () => {
  const strategy = { signals: { url: 'https://example.com/s.csv' } }
  const files = [{ url: 'https://example.com/p.parquet' }, { url: 'file:///prices.csv' }]
  const params = { data: { files, adjustment: 'none' }, strategy, parameters: { stop_loss: 0.1 } }
  expect(faults(params)).toEqual([])
  expect(backtestInputs(backtestParams.parse(params)).map(({ name }) => name)).toEqual([
    'data-0.parquet',
    'signals.csv',
  ])
  expect(faults({ ...params, strategy: {} })[0]).toMatch(/^strategy\.name: is required/)
  expect(faults({ ...params, strategy: { ...strategy, name: 'rsi' } })[0]).toMatch(/^strategy\.name/)
  expect(faults({ ...params, strategy: { ...strategy, entry: 'level' } })[0]).toMatch(/^strategy\.entry/)
  expect(faults({ ...params, parameters: { fast: 3 } })[0]).toMatch(/^parameters\.fast: is not a parameter/)
})

test('a benchmark is a word, a symbol of the data or a file, which is fetched like signals', () => {
  const file = { url: 'https://example.com/index.csv', sha256: 'a'.repeat(64) }
  for (const benchmark of [null, 'equal_weight', { symbol: 'KO' }, file])
    expect(faults(spec('rsi', {}, { benchmark }))).toEqual([])
  const params = backtestParams.parse(spec('rsi', {}, { benchmark: file }))
  expect(backtestInputs(params)).toEqual([{ ...file, name: 'benchmark.csv' }])
  expect(faults(spec('rsi', {}, { benchmark: { symbol: 'SPY' } }))[0]).toMatch(
    /^benchmark\.symbol: SPY is not in sample:sp500-20/,
  )
  for (const benchmark of ['best', { symbol: 'KO', url: file.url }, {}])
    expect(faults(spec('rsi', {}, { benchmark }))).toEqual([
      'benchmark: must be null, "equal_weight", { "symbol" }, or { "url", "sha256" }',
    ])
})

test('a search may be validated walk-forward: its trains are its work', () => {
  const space = { fast: 5, slow: { range: [10, 100, 10] } }
  const validated = (validation: object) => spec('sma_cross', space, { validation })
  for (const validation of [{}, { method: 'none' }, { method: 'walk_forward', folds: 3, purge: 5 }])
    expect(faults(validated(validation))).toEqual([])
  expect(faults(validated({ folds: 3 }))).toEqual(['validation.folds: belongs to walk_forward'])
  expect(faults(validated({ method: 'walk_forward', anchored: true, train_bars: 100 }))).toEqual([
    'validation.train_bars: cannot be with anchored: such a train begins at the first date',
  ])
  const updates = (validation: object) => barUpdates(backtestParams.parse(validated(validation)), null) ?? 0
  const once = updates({})
  expect(updates({ method: 'walk_forward', folds: 4 }) / once).toBeCloseTo(0.8)
  expect(updates({ method: 'walk_forward', folds: 4, anchored: true }) / once).toBeCloseTo(2)
  expect(updates({ method: 'walk_forward', folds: 4, train_bars: 250 }) / once).toBeCloseTo(4)
  const kinds = [{}, { method: 'walk_forward' }].map((validation) =>
    shardPoints({ kind: 'backtest', params: backtestParams.parse(validated(validation)) }),
  )
  expect(kinds).toEqual([10, 1])
})

test('predictions are fetched like signals, and a rule says what is made of them', () => {
  const predictions = { url: 'https://example.com/q.parquet', path: 2 }
  const params = {
    data: { dataset: 'sample:indices' },
    strategy: { predictions, rule: { sign: true }, every: 5 },
  }
  expect(faults(params)).toEqual([])
  expect(backtestInputs(backtestParams.parse(params)).map(({ name }) => name)).toEqual([
    'predictions.parquet',
  ])
  const strategy = (more: object) => faults({ ...params, strategy: { ...params.strategy, ...more } })
  expect(strategy({ rule: undefined })[0]).toMatch(/^strategy\.rule: belongs to "predictions"/)
  expect(strategy({ rule: { sign: false } })[0]).toMatch(/^strategy\.rule: must be/)
  expect(strategy({ rule: { top_k: 3 } })[0]).toMatch(/^portfolio\.mode: must be "shared": top_k/)
  expect(strategy({ name: 'rsi' })[0]).toMatch(/^strategy\.name: is required/)
  expect(faults(spec('rsi', {}, { strategy: { name: 'rsi', every: 5 } }))[0]).toMatch(
    /^strategy\.every: belongs/,
  )
})

test("a user's source takes its own parameters, which only the program knows", () => {
  const strategy = { source: 'class X:\n  ...', class: 'X' }
  const params = { ...spec('', { a: 3, b: { values: [-1, 0.5] }, stop_loss: 0.1 }), strategy }
  expect(faults(params)).toEqual([])
  expect(faults({ ...params, parameters: { a: null } })).toEqual(['parameters.a: must be a number'])
  expect(faults({ ...params, parameters: { stop_loss: 2 } })[0]).toMatch(/^parameters\.stop_loss/)
  expect(faults({ ...params, parameters: { fast: 9, slow: 3 } })).toEqual([])
  expect(faults({ ...params, strategy: { source: 'class X: ...' } })[0]).toMatch(/^strategy\.class/)
  expect(faults({ ...params, strategy: { ...strategy, class: '1' } })[0]).toMatch(/^strategy\.class/)
  expect(faults({ ...params, strategy: { ...strategy, name: 'rsi' } })[0]).toMatch(/^strategy\.name/)
  expect(faults({ ...params, strategy: { ...strategy, entry: 'level' } })[0]).toMatch(/^strategy\.entry/)
  expect(faults({ ...params, strategy: { ...strategy, source: 'x'.repeat(65_537) } })[0]).toMatch(
    /^strategy\.source/,
  )
  const many = Object.fromEntries(Array.from({ length: 68 }, (_, i) => [`p${i}`, 1]))
  expect(faults({ ...params, parameters: many })[0]).toMatch(/^parameters: has more than 67/)
})

test('weights are set by a calendar, over a shared purse', () => {
  const shared = { portfolio: { mode: 'shared' } }
  const top = (more: object, rest: object = shared) => ({
    ...spec('', { k: 5, window: { range: [60, 240, 60] } }, rest),
    strategy: { name: 'momentum_top_k', ...more },
  })
  for (const rebalance of [20, 'weekly', 'monthly']) expect(faults(top({ rebalance }))).toEqual([])
  expect(faults(top({}))).toEqual([])
  expect(faults(top({ rebalance: 'daily' }))[0]).toMatch(/^strategy\.rebalance: must be a number of dates/)
  expect(faults(top({ entry: 'level' }))[0]).toMatch(/^strategy\.entry/)
  expect(faults(top({}, {}))).toEqual([
    'portfolio.mode: must be "shared": momentum_top_k spreads one purse over the symbols',
  ])
  expect(faults({ ...spec('rsi', {}), strategy: { name: 'rsi', rebalance: 5 } })[0]).toMatch(
    /^strategy\.rebalance/,
  )
})

test('a space of a trillion points is taken, and not one more', () => {
  const axis = { range: [1, 100_000, 1] }
  const params = { stop_loss: { values: Array.from({ length: 100 }, (_, i) => i / 100) } }
  const sets = spec('ema_cross', { fast: axis, slow: axis, ...params })
  expect(faults(sets)).toEqual([])
  expect(faults({ ...sets, parameters: { ...sets.parameters, take_profit: { values: [1, 2] } } })[0]).toMatch(
    /^parameters: has 2000000000000 points/,
  )
})

test('a random search takes bounds, as many trials as its space has sets, and a million at most', () => {
  const drawn = (parameters: object, search: object = { method: 'random', trials: 50 }) =>
    faults(spec('sma_cross', parameters, { search }))
  const mixed = {
    fast: { int_uniform: [2, 20] },
    slow: { range: [30, 60, 10] },
    stop_loss: { uniform: [0, 0.2] },
    take_profit: { log_uniform: [0.01, 3] },
  }
  expect(drawn(mixed)).toEqual([])
  expect(drawn(mixed, { method: 'random', trials: 1_000_000, seed: 7 })).toEqual([])
  expect(drawn(mixed, { method: 'random', trials: 1_000_001 })[0]).toMatch(/^search\.trials/)
  expect(drawn(mixed, { method: 'random' })[0]).toBe('search.trials: is required with random')
  expect(drawn({}, { trials: 5 })[0]).toMatch(/^search\.trials: belongs to random/)
  expect(drawn(mixed, {})[0]).toMatch(/^parameters\.fast: needs search\.method "random" or "tpe"/)
  const finite = { fast: { int_uniform: [1, 7] }, slow: { values: [8, 9] } }
  expect(drawn(finite, { method: 'random', trials: 14 })).toEqual([])
  expect(drawn(finite, { method: 'random', trials: 15 })[0]).toMatch(/^parameters: has 14 sets, fewer than/)
  expect(drawn({ fast: { uniform: [1, 7] } })[0]).toMatch(/^parameters\.fast: takes whole numbers only/)
  expect(drawn({ fast: { int_uniform: [7, 7] } })[0]).toMatch(/^parameters\.fast: must be \[from, to\]/)
  expect(drawn({ fast: { int_uniform: [0, 7] } })[0]).toMatch(/^parameters\.fast: must be a whole number/)
  expect(drawn({ fast: { int_uniform: [1, 200_000] } })[0]).toMatch(/^parameters\.fast/)
  expect(drawn({ stop_loss: { uniform: [0.5, 2] } })[0]).toMatch(/^parameters\.stop_loss: is a fraction/)
  expect(drawn({ stop_loss: { log_uniform: [0, 0.5] } })[0]).toMatch(/^parameters\.stop_loss/)
  const axis = { range: [1, 100_000, 1] }
  const stops = {
    stop_loss: { range: [0.00001, 0.9, 0.00001] },
    trailing_stop: { range: [0.00001, 0.9, 0.00001] },
  }
  expect(drawn({ fast: axis, slow: axis, ...stops })[0]).toMatch(/^parameters: has \S+ sets, more than/)
})

test('tpe takes up to 5,000 trials in batches, outside a validation, as one piece of work', () => {
  const space = { fast: { int_uniform: [2, 20] }, stop_loss: { uniform: [0, 0.2] } }
  const tpe = (search: object, more: object = {}) =>
    spec('sma_cross', space, { search: { method: 'tpe', ...search }, ...more })
  expect(faults(tpe({ trials: 5_000, batch: 32, seed: 7 }))).toEqual([])
  expect(faults(tpe({}))[0]).toBe('search.trials: is required with tpe')
  expect(faults(tpe({ trials: 5_001 }))[0]).toMatch(/^search\.trials: must be at most 5000 with tpe/)
  expect(faults(tpe({ trials: 9, batch: 1_025 }))[0]).toMatch(/^search\.batch/)
  expect(faults(tpe({ trials: 9, batch: 2, method: 'random' }))[0]).toMatch(/^search\.batch: belongs to tpe/)
  const validation = { method: 'walk_forward' }
  expect(faults(tpe({ trials: 9 }, { validation }))[0]).toMatch(/^search\.method: tpe is not run in walk_f/)
  const params = backtestParams.parse(tpe({ trials: 500 }))
  expect(shardPoints({ kind: 'backtest', params })).toBe(1)
})

test('the work of a random search is its trials', () => {
  const params = backtestParams.parse(
    spec('sma_cross', { fast: { int_uniform: [2, 20] } }, { search: { method: 'random', trials: 9 } }),
  )
  expect(pointsOf(params)).toBe(9)
  const grid = backtestParams.parse(spec('sma_cross', { fast: { range: [2, 10, 1] } }))
  expect(barUpdates(params, null)).toBe(barUpdates(grid, null))
})

test('A-shares need prices as traded, and are sold short only when said so', () => {
  const china = (execution: object, adjustment = 'none') => ({
    data: { files: [{ url: 'https://example.com/p.csv' }], adjustment },
    strategy: { name: 'sma_cross' },
    execution: { profile: 'cn_a', ...execution },
  })
  expect(faults(china({}))).toEqual([])
  expect(faults(china({ direction: 'both', allow_short: true }))).toEqual([])
  expect(faults(china({ direction: 'short' }))[0]).toMatch(/^execution\.direction: needs allow_short/)
  expect(faults(china({ fractional: true }))[0]).toMatch(/^execution\.fractional/)
  expect(faults(china({}, 'total'))[0]).toMatch(/^data\.adjustment/)
  expect(faults(china({ profile: 'us' }))[0]).toMatch(/^execution\.profile: must be null or "cn_a"/)
  expect(faults(china({ profile: null, allow_short: true }))[0]).toMatch(/^execution\.allow_short/)
})
