// Jobs to begin with. All run on sample prices, on any machine, in seconds; the last one needs a place with containers.
export interface Template {
  id: string
  label: readonly [en: string, zh: string]
  spec: Record<string, unknown>
}

const small = { cpu: 1, memory_gib: 1, disk_gib: 1 }
const costs = { fill: 'next_close', fee_bps: 10, slippage_bps: 5 }
const years = { start: '2010-01-01', end: '2019-12-31' }

export const templates: readonly Template[] = [
  {
    id: 'sweep',
    label: ['Sweep of a moving-average cross', '均线交叉参数扫描'],
    spec: {
      kind: 'backtest',
      name: 'sma cross',
      params: {
        data: { dataset: 'sample:sp500-20', symbols: ['AAPL', 'JPM', 'KO', 'MSFT', 'PG', 'XOM'], ...years },
        strategy: { name: 'sma_cross' },
        parameters: { fast: { range: [5, 50, 5] }, slow: { range: [20, 240, 10] } },
        search: { method: 'grid', objective: 'sharpe' },
        execution: costs,
      },
      resources: small,
      budget_usd: 1,
    },
  },
  {
    id: 'rsi',
    label: ['Mean reversion by RSI', 'RSI 均值回归'],
    spec: {
      kind: 'backtest',
      name: 'rsi mean reversion',
      params: {
        data: { dataset: 'sample:sp500-20', ...years },
        strategy: { name: 'rsi' },
        parameters: {
          window: { values: [7, 14, 21] },
          lower: { values: [20, 25, 30, 35] },
          upper: { values: [60, 65, 70, 75] },
        },
        execution: costs,
      },
      resources: small,
      budget_usd: 1,
    },
  },
  {
    id: 'momentum',
    label: ['Momentum portfolio of the best', '动量选股组合'],
    spec: {
      kind: 'backtest',
      name: 'momentum top k',
      params: {
        data: { dataset: 'sample:sp500-20', start: '1995-01-01', end: '2019-12-31' },
        strategy: { name: 'momentum_top_k', rebalance: 'monthly' },
        parameters: { window: { values: [60, 120, 250] }, k: { values: [3, 5] } },
        portfolio: { mode: 'shared' },
        execution: { ...costs, cash: 100_000 },
      },
      resources: small,
      budget_usd: 1,
    },
  },
  {
    id: 'training',
    label: ['Train XGBoost, walk-forward', 'XGBoost 滚动训练'],
    spec: {
      kind: 'training',
      name: 'xgboost ranks',
      params: {
        data: { dataset: 'sample:sp500-20', start: '2005-01-01', end: '2019-12-31' },
        features: [
          { name: 'rank', of: { name: 'ret', lags: [1, 5, 20, 60, 250] } },
          { name: 'rsi', window: 14 },
        ],
        target: { name: 'forward_return', horizon: 5 },
        model: { name: 'xgboost', params: { n_estimators: 100, max_depth: 3, learning_rate: 0.05 } },
        validation: { method: 'walk_forward', folds: 5 },
      },
      resources: { cpu: 1, memory_gib: 2, disk_gib: 1 },
      budget_usd: 1,
    },
  },
  {
    id: 'custom',
    label: ['A container of your own', '自定义容器'],
    spec: {
      kind: 'custom',
      name: 'my container',
      params: {
        image: 'python:3.13-slim',
        command: ['python', '-c', 'print("hello")'],
        env: {},
        outputs: [],
      },
      resources: small,
      budget_usd: 1,
    },
  },
]
