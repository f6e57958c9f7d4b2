// Points as charts want them. Plain functions, tested alone.

/** As the API gives it. */
interface Point {
  objective: number | null
  parameters: Readonly<Record<string, unknown>>
  metrics: Readonly<Record<string, unknown>>
}

export interface Cell {
  /** Places among the values. */
  x: number
  y: number
  value: number
  points: number
}

export interface SurfaceData {
  x: { name: string; values: readonly number[] }
  y: { name: string; values: readonly number[] }
  cells: readonly Cell[]
}

export interface ParallelData {
  axes: readonly { name: string; metric: string | null }[]
  /** A value an axis. */
  rows: readonly (readonly (number | null)[])[]
}

interface Wanted {
  x: string
  y: string
  value: string
  reduce: 'max' | 'min' | 'mean'
}

/** Points put together by two of their parameters, as the API does it with all of a sweep that has ended. */
export function surfaceOf(points: readonly Point[], { x, y, value, reduce }: Wanted): SurfaceData {
  const axis = (name: string) =>
    [...new Set(points.map(({ parameters }) => parameters[name]))]
      .filter((each) => typeof each === 'number')
      .toSorted((a, b) => a - b)
  const [xs, ys] = [axis(x), axis(y)]
  const cells = new Map<string, Cell>()
  for (const point of points) {
    const here = valueOf(point, value)
    const place = {
      x: xs.indexOf(point.parameters[x] as number),
      y: ys.indexOf(point.parameters[y] as number),
    }
    if (here === null || place.x < 0 || place.y < 0) continue
    const key = `${place.x}/${place.y}`
    const cell = cells.get(key)
    if (cell === undefined) cells.set(key, { ...place, value: here, points: 1 })
    else {
      cell.points++
      if (reduce === 'mean') cell.value += (here - cell.value) / cell.points
      else cell.value = Math[reduce](cell.value, here)
    }
  }
  return { x: { name: x, values: xs }, y: { name: y, values: ys }, cells: [...cells.values()] }
}

export function valueOf({ objective, metrics }: Point, name: string): number | null {
  const value = name === 'objective' ? objective : metrics[name]
  return typeof value === 'number' ? value : null
}

/** The parameters, some figures, and the objective last. */
export function parallelOf(
  points: readonly Point[],
  parameters: readonly string[],
  objective: string,
  nameOf: (metric: string) => string,
): ParallelData {
  const figures = ['max_drawdown', 'trades', 'annual_return'].filter((name) => name !== objective)
  return {
    axes: [
      ...parameters.map((name) => ({ name, metric: null })),
      ...figures.map((metric) => ({ name: nameOf(metric), metric })),
      { name: nameOf(objective), metric: objective },
    ],
    rows: points.map((point) => [
      ...parameters.map((name) => {
        const value = point.parameters[name]
        return typeof value === 'number' ? value : null
      }),
      ...figures.map((metric) => valueOf(point, metric)),
      point.objective,
    ]),
  }
}
