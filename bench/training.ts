// `npm run bench -- training [--rows 1000000] [--rounds 5]`: fits, predictions and features, two threads, each beside
// the library called directly (XGBoost, scikit-learn) or pandas written the usual way; all take turns in one run, and the
// best of each counts. `cpu_s` are the least processor seconds of both threads: what others do there is not in them.
import { type Measurement, option } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = (options) => {
  const [rows, rounds] = [option(options, 'rows', 1_000_000), option(options, 'rounds', 5)]
  return Promise.resolve({
    figures: measuredInPython('training.py', [rows, rounds]),
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
