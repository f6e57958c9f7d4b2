// Jobs held against each other. Plain functions, tested alone.

export interface Rebased {
  dates: string[]
  /** 100 at the first date; by job. */
  values: (number | null)[][]
}

/** As the API gives it. */
interface Curve {
  series: { date: readonly string[]; equity?: readonly (number | null)[] | undefined }
}

/** Curves over the stretch that all have, each 100 at its beginning; null: there is none. */
export function rebased(curves: readonly Curve[]): Rebased | null {
  const known = curves.map(({ series }) => ({ date: series.date, equity: series.equity ?? [] }))
  const first = known
    .map(({ date }) => date[0] ?? '')
    .toSorted()
    .at(-1)
  const last = known.map(({ date }) => date.at(-1) ?? '').toSorted()[0]
  if (first === undefined || last === undefined || first === '' || first >= last) return null
  const dates = [...new Set(known.flatMap(({ date }) => date))]
    .filter((date) => date >= first && date <= last)
    .toSorted()
  const values = known.map(({ date, equity }) => {
    const own = carried(dates, date, equity)
    const base = own.find((value) => value !== null && value !== 0)
    return own.map((value) =>
      value === null || base === undefined || base === null ? null : (100 * value) / base,
    )
  })
  return { dates, values }
}

/** At each date the value of the last one before it. */
function carried(dates: readonly string[], own: readonly string[], values: readonly (number | null)[]) {
  let at = -1
  return dates.map((date) => {
    while (at + 1 < own.length && (own[at + 1] ?? '') <= date) at++
    return values[at] ?? null
  })
}

export interface Difference {
  path: string
  values: (string | null)[]
  isSame: boolean
}

/** The leaves of specs by their paths; null where one has none. */
export function differences(specs: readonly unknown[]): Difference[] {
  const leaves = specs.map((spec) => new Map(leavesOf(spec, '')))
  const paths = [...new Set(leaves.flatMap((each) => [...each.keys()]))].toSorted()
  return paths.map((path) => {
    const values = leaves.map((each) => each.get(path) ?? null)
    return { path, values, isSame: values.every((value) => value === values[0]) }
  })
}

function leavesOf(value: unknown, path: string): [string, string][] {
  if (value === undefined) return []
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0)
    return Object.entries(value).flatMap(([name, inner]) =>
      leavesOf(inner, path === '' ? name : `${path}.${name}`),
    )
  return [[path, typeof value === 'string' ? value : JSON.stringify(value)]]
}

/** Places of the best among figures; none where all are equal or one alone has it. */
export function bestOf(values: readonly (number | null | undefined)[], least: boolean): ReadonlySet<number> {
  const known = values.filter((value) => typeof value === 'number')
  if (known.length < 2) return new Set()
  const best = known.reduce((one, other) => (least ? Math.min(one, other) : Math.max(one, other)))
  const places = values.flatMap((value, at) => (value === best ? [at] : []))
  return new Set(places.length === values.length ? [] : places)
}
