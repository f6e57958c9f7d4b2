// The quickstart's job, and what is said about it.
import { relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { checkout } from './install.mjs'

const symbols = ['AAPL', 'JPM', 'KO', 'MSFT', 'PG', 'XOM']
const [start, end] = ['2010-01-01', '2019-12-31']

/** A search over two parameters of a textbook strategy, with costs, on prices of ten years. */
export const job = {
  kind: 'backtest',
  name: 'quickstart: sma_cross',
  params: {
    data: { dataset: 'sample:sp500-20', symbols, start, end },
    strategy: { name: 'sma_cross' },
    parameters: { fast: { range: [5, 50, 5] }, slow: { range: [20, 240, 10] } },
    search: { method: 'grid', objective: 'sharpe' },
    execution: { fill: 'next_close', fee_bps: 10, slippage_bps: 5 },
  },
  // It is to be seen at work, also the second time.
  cache: false,
  // Small, so that it runs on any machine; refused rather than left waiting where it cannot.
  resources: { cpu: 1, memory_gib: 1, disk_gib: 1 },
  strict: true,
  timeout_s: 900,
  queue_timeout_s: 300,
  labels: { source: 'quickstart' },
}

const percent = (value) => `${(100 * value).toFixed(1)} %`
const plain = (value) => value.toFixed(2)
const shown = [
  ['total return', 'total_return', percent],
  ['annual return', 'annual_return', percent],
  ['annual volatility', 'annual_volatility', percent],
  ['Sharpe ratio', 'sharpe', plain],
  ['largest drawdown', 'max_drawdown', percent],
  ['trades', 'trades', plain],
  ['winning trades', 'win_rate', percent],
  ['time in the market', 'exposure', percent],
  ['fees, of 10000 cash', 'fees', plain],
]

/** The metrics of the best point beside how many were tried, and every warning that the program gave. */
export function resultText(result) {
  const { best, points, skipped, warnings = [] } = result
  const set = Object.entries(best.parameters).map(([name, value]) => `${name} ${value}`)
  const rows = shown
    .filter(([, name]) => typeof best.metrics[name] === 'number')
    .map(([label, name, format]) => `  ${label.padEnd(22)}${format(best.metrics[name]).padStart(12)}`)
  return [
    `sma_cross on ${symbols.join(', ')}, ${result.data?.start ?? start} to ${result.data?.end ?? end}`,
    `fills at the next close, 10 bps of fees and 5 bps of slippage on every fill`,
    '',
    `Best of ${points} points tried${skipped ? ` (${skipped} more made no sense: fast >= slow)` : ''}: ${set.join(', ')}`,
    'Mean over the symbols:',
    ...rows,
    ...warnings.map(({ message }) => `  note: ${message}`),
  ].join('\n')
}

/** Where everything is. @param {{ url: string, own: boolean }} server */
export function placesText({ job: ended, tearsheet, door, places, server, stays }) {
  const { cost } = ended
  const basis =
    cost.basis === 'modelled' ? 'modelled: this machine at its configured price an hour' : cost.basis
  const variables = [
    ...(server.url === 'http://127.0.0.1:8080' ? [] : [`BERTH_URL=${server.url}`]),
    ...(relative(checkout, places.data) === 'data' ? [] : [`BERTH_DATA_DIR=${places.data}`]),
  ]
  const rows = [
    ['Cost', `$${cost.actual_usd.toFixed(6)} (${basis})`],
    ['Tear sheet', tearsheet === null ? 'none was made' : pathToFileURL(tearsheet).href],
    ...(stays
      ? [
          ['Console', server.url],
          ['Sign in', `open ${pathToFileURL(door).href}, or paste the key`],
          ['API reference', `${server.url}/reference`],
          ['API key', places.key],
          ['Try', [...variables, 'npx --no berth list'].join(' ')],
        ]
      : []),
  ]
  return rows.map(([name, value]) => `${name.padEnd(15)}${value}`).join('\n')
}

/** Why a job did not succeed, and what to do. */
export function failureText({ id, state, error }) {
  const lines = [`The backtest ${id} has ${state === 'failed' ? 'failed' : `ended as ${state}`}.`]
  if (error) lines.push(`${error.code}: ${error.message}`)
  if (error?.log_tail) lines.push(error.log_tail.trimEnd())
  if (error?.hint) lines.push(`What to do: ${error.hint}`)
  return lines.join('\n')
}

/** What the client said when it ended without a result: one line of JSON, or what Node said. */
export function refusalText(command, code, said) {
  const head = `The quickstart cannot go on: "${command}" ended with code ${code}.`
  const line = said.trim().split('\n').at(-1) ?? ''
  if (!line.startsWith('{"error":')) return `${head}\n${said}`.trimEnd()
  const { message, errors = [], hint } = JSON.parse(line).error
  const fields = errors.map((each) => `  ${each.path}: ${each.message}`)
  return [head, message, ...fields, ...(hint ? [hint] : [])].join('\n')
}

/**
 * A page that opens the console signed in, for whoever may read this file. The key stands in the fragment of the address: browsers
 * send that nowhere, and the console takes it out of the address at once.
 */
export function doorPage({ url, key }) {
  const address = `${url}/#key=${encodeURIComponent(key)}`
  return `<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url=${address}">
<title>Berth</title>
<a href="${address}">Open the console</a>
`
}
