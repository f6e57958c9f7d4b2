// `npm run bench -- sweep-memory`: the most memory that the backtest program has had, each sweep in a process of its own: a
// hundred thousand and a million points drawn, a grid of a million, a million taken up again from a checkpoint, ten million,
// which are the most that are all kept, and more. One symbol and a year of days, for it is points that are many.
import type { Measurement } from './measurement.ts'
import { measuredInPython } from './support/python.ts'

export const measure: Measurement = () =>
  Promise.resolve({
    figures: measuredInPython('sweep-memory.py', []),
    targets: {
      // 0.3 GiB of libraries, 0.2 GiB of a chunk, and 288 bytes a point: its means (144), metrics of its symbol (128), number
      // and objective.
      million_random_mib: { at_most: 900 },
      million_grid_mib: { at_most: 900 },
      // Rows that were kept come from files of some 64 MiB; each is let go when it is copied.
      million_resumed_mib: { at_most: 1_200 },
      bytes_a_point: { at_most: 450 },
      // Its means, numbers and objectives (160 bytes a point), and what sorts them.
      ten_million_mib: { at_most: 2_600 },
      // Of more than ten million points a million are kept, with a quarter more before they are cut, and sorted.
      twelve_million_mib: { at_most: 1_200 },
    },
  })
