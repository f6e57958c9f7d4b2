// The sample datasets that come with Berth, as far as a spec can be checked against them without reading
// prices. The rows themselves are read inside the container; a test compares these names with the files.

interface Sample {
  symbols: readonly string[]
  columns: readonly string[]
  first: string
  last: string
}

export const samples: Readonly<Record<string, Sample>> = {
  'sample:sp500-20': {
    symbols: [
      'AAPL',
      'AMD',
      'BAC',
      'BBY',
      'CVX',
      'GE',
      'HD',
      'JNJ',
      'JPM',
      'KO',
      'LLY',
      'MRK',
      'MSFT',
      'PEP',
      'PFE',
      'PG',
      'RRC',
      'UNH',
      'WMT',
      'XOM',
    ],
    columns: ['date', 'symbol', 'close'],
    first: '1990-01-02',
    last: '2022-12-28',
  },
  'sample:indices': {
    symbols: ['NASDAQ', 'SP500'],
    columns: ['date', 'symbol', 'open', 'high', 'low', 'close', 'volume'],
    first: '1999-01-04',
    last: '2018-12-31',
  },
}
