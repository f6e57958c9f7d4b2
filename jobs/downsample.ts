// Fewer rows of a curve, so that no extreme of it is lost.

/**
 * The rows that are kept, in their order: all of them if they are few enough, else of each of a number of buckets of
 * equally many rows the first, the last, and of each column the least and the greatest (the first of equals). Every kept
 * row is a row of the curve; each column's least and greatest value are among them, and so is the deepest drawdown.
 */
export function keptRows(rows: number, columns: readonly Float64Array[], max_points: number): Int32Array {
  if (rows <= max_points) return Int32Array.from({ length: rows }, (_, row) => row)
  const buckets = Math.floor(max_points / rowsOfBucket(columns.length))
  const kept: number[] = []
  for (let bucket = 0; bucket < buckets; bucket++) {
    const first = Math.floor((bucket * rows) / buckets)
    const last = Math.floor(((bucket + 1) * rows) / buckets) - 1
    const chosen = new Set([first, last])
    for (const values of columns) for (const row of extremes(values, first, last)) chosen.add(row)
    kept.push(...[...chosen].toSorted((a, b) => a - b))
  }
  return Int32Array.from(kept)
}

/** The most that a bucket keeps. */
export const rowsOfBucket = (columns: number) => 2 + 2 * columns

/** Rows of the least and the greatest value; none where there is no value. */
function extremes(values: Float64Array, first: number, last: number): number[] {
  let [least, greatest] = [-1, -1]
  for (let row = first; row <= last; row++) {
    const value = values[row] as number
    if (Number.isNaN(value)) continue
    if (least < 0 || value < (values[least] as number)) least = row
    if (greatest < 0 || value > (values[greatest] as number)) greatest = row
  }
  return least < 0 ? [] : [least, greatest]
}
