import { expect, test } from 'vitest'
import { jobSpec } from '../../jobs/spec.ts'
import { checkFileUrls } from '../../jobs/targets.ts'
import { backtest } from '../support/world.ts'

const data = (url: string) => ({ data: { files: [{ url }], adjustment: 'none' } })
const signals = (url: string) => ({ strategy: { signals: { url } }, parameters: {} })
const benchmark = (url: string) => ({ benchmark: { url } })
const check = (params: object) => () => {
  const spec = jobSpec.parse({ ...backtest(), params: { ...backtest().params, ...params } })
  checkFileUrls(spec, ['/data'])
}

test('prices and signals are read from the named folders', () => {
  expect(check(data('file:///data/prices.csv'))).not.toThrow()
  expect(check(signals('file:///data/deep/signals%20a.csv'))).not.toThrow()
  expect(check(benchmark('file:///data/index.csv'))).not.toThrow()
})

test.for([
  'file:///etc/passwd',
  'file:///database/prices.csv',
  'file:///data/../etc/passwd',
  'file:///data/%2e%2e/etc/passwd',
  'file:///data/x%2f..%2f..%2fetc/passwd',
  'file://elsewhere/data/prices.csv',
  'file:///data/%ff.csv',
])('%s is refused, for prices, for signals and for a benchmark', (url) => {
  expect(check(data(url))).toThrow('does not lie in a folder')
  expect(check(signals(url))).toThrow('params.strategy.signals.url does not lie in a folder')
  expect(check(benchmark(url))).toThrow('params.benchmark.url does not lie in a folder')
})

test('s3 addresses are refused by name', () => {
  expect(check(signals('s3://bucket/signals.csv'))).toThrow('use https://')
})
