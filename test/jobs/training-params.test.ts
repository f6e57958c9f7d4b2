import { expect, test } from 'vitest'
import { cacheKey } from '../../jobs/cache.ts'
import { trainingInputs, trainingParams } from '../../jobs/kinds/training.ts'
import { fitsOf, trainingSeconds, trainingSignature } from '../../jobs/kinds/training-work.ts'
import { jobSpec } from '../../jobs/spec.ts'

const prices = {
  data: { dataset: 'sample:sp500-20' },
  features: [{ name: 'ret', lags: [1, 2, 5] }],
  target: { name: 'forward_return', horizon: 5 },
  model: { name: 'ridge' },
}
const table = { url: 'https://example.com/t.parquet', target: 'y', time: 'date', horizon: 3 }

function faults(more: object, base: object = prices): string[] {
  const { error } = trainingParams.safeParse({ ...base, ...more })
  return (error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('the example of the contract is accepted', () => {
  const example = {
    ...prices,
    table: null,
    preprocess: {},
    model: { name: 'xgboost', params: { n_estimators: 200, max_depth: 6 } },
    ensemble: null,
    search: {
      method: 'tpe',
      trials: 30,
      space: { max_depth: { int_uniform: [3, 10] } },
      objective: 'rmse',
      pruner: 'median',
      seed: 1,
    },
    validation: { method: 'walk_forward', folds: 5, purge: 5, embargo: 0 },
    seed: 1,
    output: { importance: true, plots: true },
  }
  expect(faults(example)).toEqual([])
  expect(faults({}, { table, model: { name: 'xgboost' } })).toEqual([])
})

test.each([
  [{ model: null }, 'model: is required, or an ensemble'],
  [{ model: { name: 'logistic' } }, 'model.name: logistic does not do regression: use one of linear'],
  [{ target: { name: 'sign' } }, 'model.name: ridge does not do classification: use one of logistic'],
  [{ target: { name: 'sign', kind: 'regression' } }, 'target.kind: sign is a class'],
  [{ features: null }, 'features: is required, or a table'],
  [{ table }, 'data: belongs to prices'],
  [{ data: { dataset: 'sample:sp500' } }, 'data.dataset: is unknown: the samples are'],
  [{ data: { dataset: 'sample:indices', symbols: ['AAPL'] } }, 'data.symbols.0: AAPL is not in'],
  [{ validation: { purge: 4 } }, 'validation.purge: must be at least the horizon (5)'],
  [{ validation: { method: 'random', embargo: 4 } }, 'validation.embargo: belongs to walk_forward'],
  [{ validation: { method: 'cpcv', folds: 2 } }, 'validation.test_folds: must be less than folds (2)'],
  [{ validation: { method: 'purged_kfold', folds: 1 } }, 'validation.folds: must be at least 2'],
  [{ search: { space: {} } }, 'search.space: must name a parameter'],
  [{ search: { space: { alpha: { range: [1, 2] } } } }, 'search.space.alpha: must be { "values" }'],
  [{ search: { space: { alpha: { uniform: [2, 1] } } } }, 'search.space.alpha.uniform: must be [from, to]'],
  [{ search: { method: 'grid', space: { alpha: { uniform: [1, 2] } } } }, 'search.space.alpha: needs'],
  [{ search: { method: 'grid', trials: 3, space: { alpha: { values: [1] } } } }, 'search.trials: belongs'],
  [
    { search: { space: { alpha: { values: [1] } }, objective: 'auc' } },
    'search.objective: must be one of rmse',
  ],
  [{ search: { space: { alpha: { values: [1] } }, nested: false } }, 'search.nested: false needs'],
  [
    { search: { space: { alpha: { values: [1] } }, validation: { method: 'cpcv' } } },
    'search.validation.method: cpcv has several scores',
  ],
  [
    { ensemble: { method: 'voting', members: [{ name: 'ridge' }] } },
    'ensemble.members: must have at least 2',
  ],
  [{ modle: 1 }, ': Unrecognized key: "modle"'],
])('%j is refused with its field', (more, message) => {
  expect(faults(more).some((fault) => fault.startsWith(message))).toBe(true)
})

test('a table needs to say how long its labels are', () => {
  const model = { name: 'ridge' }
  expect(faults({ table: { ...table, horizon: null } }, { model })[0]).toMatch(/^table\.horizon: is required/)
  expect(faults({ table: { ...table, label_end: 'end' } }, { model })[0]).toMatch(
    /^table\.horizon: give either/,
  )
})

test('files are fetched by the runner, those of this machine are not', () => {
  const names = (params: unknown) => trainingInputs(trainingParams.parse(params)).map(({ name }) => name)
  const files = [{ url: 'https://example.com/p.csv' }, { url: 'file:///p.csv' }]
  expect(names({ ...prices, data: { files, adjustment: 'total' } })).toEqual(['data-0.csv'])
  expect(names({ table, model: { name: 'ridge' } })).toEqual(['table.parquet'])
})

test('estimates grow with rows, features, fits and trees, and shrink with cores', () => {
  const parse = (more: object) => trainingParams.parse({ ...prices, ...more })
  const seconds = (more: object, cpu = 2) => trainingSeconds(parse(more), null)?.({ cpu }) ?? 0
  const search = { trials: 20, space: { max_depth: { int_uniform: [2, 8] } } }
  const trees = { model: { name: 'xgboost', params: { n_estimators: 500 } } }
  expect(seconds(trees)).toBeGreaterThan(seconds({}))
  expect(seconds({ ...trees, search })).toBeGreaterThan(10 * seconds(trees) - 60)
  expect(seconds({ ...trees, search }, 4)).toBeLessThan(seconds({ ...trees, search }, 2))
  expect(fitsOf(parse({}))).toBe(6)
  expect(fitsOf(parse({ search }))).toBe(5 * 61 + 61)
  expect(fitsOf(parse({ validation: { method: 'cpcv' } }))).toBe(16)
  expect(trainingSeconds(trainingParams.parse({ table, model: { name: 'ridge' } }), null)).toBeNull()
  expect(trainingSignature(parse({}))).toBe(trainingSignature(parse({ seed: 4 })))
  expect(trainingSignature(parse({}))).not.toBe(trainingSignature(parse(trees)))
})

test('results are cached by content: seed, device and the bytes of a table, not its address', () => {
  const key = (params: object, more: object = {}) =>
    cacheKey('prj', jobSpec.parse({ kind: 'training', params, ...more }), 'program', null)
  expect(key(prices)).toBe(key(prices, { name: 'other' }))
  expect(key({ ...prices, seed: 2 })).not.toBe(key(prices))
  expect(key(prices, { resources: { device: 'cpu' } })).not.toBe(key(prices))
  const model = { name: 'ridge' }
  expect(key({ table, model })).toBeNull()
  const sha256 = 'a'.repeat(64)
  const elsewhere = { ...table, sha256, url: 'https://example.com/other.parquet' }
  expect(key({ table: { ...table, sha256 }, model })).toBe(key({ table: elsewhere, model }))
  expect(key({ ...prices, tracking: { experiment: 'x' } })).toBeNull()
  expect(key(prices, { cache: false })).toBeNull()
})
