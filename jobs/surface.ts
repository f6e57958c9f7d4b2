// What a sweep found over two of its parameters: all of its points, put together by their values of the two.
import type { ColumnsFound, Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { JobRow } from './plan.ts'
import { findTable, numbersOf, readTable } from './result-tables.ts'

export const reductions = ['max', 'min', 'mean'] as const
/** 200 by 200: more are no longer seen apart. */
const maxCells = 40_000

export interface SurfaceQuery {
  x: string
  y: string
  value: string
  reduce: (typeof reductions)[number]
}

export interface SurfaceView {
  x: { name: string; values: number[] }
  y: { name: string; values: number[] }
  value: string
  reduce: SurfaceQuery['reduce']
  points: number
  cells: { x: number; y: number; value: number; points: number }[]
}

/** Throws AppError job_not_finished, no_result, invalid_request, table_too_large, table_unreadable. */
export async function readSurface(deps: Deps, job: JobRow, query: SurfaceQuery): Promise<SurfaceView> {
  const { file } = await findTable(deps, job, 'points.parquet')
  const named = [...new Set([query.x, query.y, query.value])]
  const found = await readTable(
    deps,
    { name: 'points.parquet', file },
    { columns: [], optional: [...named, 'segment'] },
    'Read it as an artifact.',
  )
  for (const path of ['x', 'y', 'value'] as const)
    if ((found.columns[query[path]]?.kind ?? 'text') !== 'number') throw noColumn(path, query[path])
  const axes = { x: axisOf(found, query.x), y: axisOf(found, query.y) }
  const count = axes.x.values.length * axes.y.values.length
  if (count > maxCells)
    throw new AppError(
      'table_too_large',
      `${query.x} and ${query.y} have ${axes.x.values.length} and ${axes.y.values.length} values, and ${maxCells} cells are shown: choose others.`,
    )
  const { cells, points } = reduced(found, query, axes)
  return {
    x: { name: query.x, values: axes.x.values },
    y: { name: query.y, values: axes.y.values },
    value: query.value,
    reduce: query.reduce,
    points,
    cells,
  }
}

function noColumn(path: string, name: string): AppError {
  const message = `the points have no number ${JSON.stringify(name.slice(0, 64))}`
  return new AppError('invalid_request', `The surface cannot be read: ${message}.`, {
    errors: [{ path, message }],
  })
}

interface Axis {
  values: number[]
  places: Map<number, number>
}

function axisOf(found: ColumnsFound, name: string): Axis {
  const values = [...new Set(numbersOf(found, name))]
    .filter((value) => !Number.isNaN(value))
    .toSorted((a, b) => a - b)
  return { values, places: new Map(values.map((value, at) => [value, at])) }
}

function reduced(found: ColumnsFound, { x, y, value, reduce }: SurfaceQuery, axes: { x: Axis; y: Axis }) {
  const [xs, ys, values] = [numbersOf(found, x), numbersOf(found, y), numbersOf(found, value)]
  const cells = new Map<number, { x: number; y: number; value: number; points: number }>()
  let points = 0
  for (let row = 0; row < found.rows; row++) {
    const [at_x, at_y] = [axes.x.places.get(xs[row] as number), axes.y.places.get(ys[row] as number)]
    const here = values[row] as number
    if (at_x === undefined || at_y === undefined || !isWhole(found, row)) continue
    points++
    if (!Number.isFinite(here)) continue
    const place = at_x * axes.y.values.length + at_y
    const cell = cells.get(place)
    if (cell === undefined) cells.set(place, { x: at_x, y: at_y, value: here, points: 1 })
    else {
      cell.points++
      if (reduce === 'mean') cell.value += (here - cell.value) / cell.points
      else cell.value = Math[reduce](cell.value, here)
    }
  }
  return { cells: [...cells.values()], points }
}

/** A point has a row a fold and segment where there are any. */
function isWhole({ columns }: ColumnsFound, row: number): boolean {
  const segment = columns['segment']
  return segment?.kind !== 'text' || segment.texts[segment.codes[row] as number] === 'all'
}
