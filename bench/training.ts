// `npm run bench -- training [--rows 1000000] [--rounds 5]`: fits, predictions and features, two threads, each beside
// the library called directly (XGBoost, scikit-learn) or pandas written the usual way; all take turns in one run.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { type Measurement, option } from './measurement.ts'

/** Some ten fits of a million rows on a busy machine. */
const limit_ms = 1_800_000

export const measure: Measurement = (options) => {
  const [rows, rounds] = [option(options, 'rows', 1_000_000), option(options, 'rounds', 5)]
  const root = join(import.meta.dirname, '..')
  const python = join(root, '.venv', 'bin', 'python')
  const program = join(import.meta.dirname, 'training.py')
  const output = execFileSync(python, [program, `${rows}`, `${rounds}`], {
    timeout: limit_ms,
    encoding: 'utf8',
  })
  const figures = JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, number>
  return Promise.resolve({
    figures,
    targets: {
      xgboost_fit_over_direct: { at_least: 0.95 },
      xgboost_predict_over_direct: { at_least: 0.95 },
      gradient_boosting_fit_over_direct: { at_least: 0.95 },
      gradient_boosting_predict_over_direct: { at_least: 0.95 },
      features_s: { at_most: 1 },
      features_over_pandas: { at_least: 20 },
      single_prediction_p99_ms: { at_most: 5 },
    },
  })
}
