// The figures of this process and of the installation in Prometheus's text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Deps } from '../jobs/deps.ts'
import { counters, histograms, type Meter } from '../jobs/figures.ts'
import { type Gauge as Read, readGauges } from '../jobs/gauges.ts'

/** Several scrapers, or an impatient one, read the database this often at most. */
const kept_ms = 5_000

/**
 * `deps_of`: given late, because what is measured is made of what measures. `process`: memory, processor and event loop of this
 * process too.
 */
export function createMeter(deps_of: () => Deps, { process = false } = {}): NonNullable<Deps['meter']> {
  const registry = new Registry()
  if (process) collectDefaultMetrics({ register: registry })
  const counting = mapped(counters, (name, { help, labels }) => {
    return new Counter({ name, help, labelNames: labels, registers: [registry] })
  })
  const observing = mapped(histograms, (name, { help, labels, buckets }) => {
    return new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers: [registry] })
  })
  const meter: Meter = {
    count: (name, labels) => counting[name].inc(labels),
    observe: (name, labels, seconds) => observing[name].observe(labels, seconds),
  }
  const up = new Gauge({
    name: 'berth_database_up',
    help: 'Whether the database answered the last scrape.',
    registers: [registry],
  })
  const gauges = new Map<string, Gauge>()
  const set = ({ name, help, labels, values }: Read) => {
    const gauge = gauges.get(name) ?? new Gauge({ name, help, labelNames: labels, registers: [registry] })
    gauges.set(name, gauge)
    // What is not read any more, like an account without attempts, is not shown any more.
    gauge.reset()
    for (const each of values) gauge.set(each.labels, each.value)
  }
  const read = async () => {
    const found = await readGauges(deps_of()).catch((error: unknown) => {
      deps_of().log('warn', 'the figures of the installation were not read', { error: String(error) })
      return []
    })
    up.set(found.length > 0 ? 1 : 0)
    // Without an answer nothing is known, which is not the last that was.
    if (found.length === 0) for (const gauge of gauges.values()) gauge.reset()
    for (const gauge of found) set(gauge)
  }
  let last: { at_ms: number; read: Promise<void> } | null = null
  return {
    ...meter,
    async text() {
      const at_ms = performance.now()
      if (!last || at_ms - last.at_ms >= kept_ms) last = { at_ms, read: read() }
      await last.read
      return registry.metrics()
    },
  }
}

function mapped<Table extends object, Made>(
  table: Table,
  make: (name: string, described: Table[keyof Table]) => Made,
): Record<keyof Table, Made> {
  const made = Object.entries(table).map(([name, described]) => [
    name,
    make(name, described as Table[keyof Table]),
  ])
  return Object.fromEntries(made) as Record<keyof Table, Made>
}
