import { useQuery } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { machineHistoryQuery, machinesQuery } from '../../api/job.ts'
import type { Job, Machine } from '../../api/types.ts'
import { Asked } from '../../parts/problem.tsx'
import { money, percent } from '../../text/format.ts'
import { machineTexts, timelineTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { type Language } from '../../text/texts.ts'
import { Line, type Reading } from '../../ui/line.tsx'
import { Empty } from '../../ui/states.tsx'
import { Ago } from '../../ui/time.tsx'

/** Runners report every two seconds while few run. */
const asked_ms = 2_000
/** An hour of them. */
const maxReadings = 1_800

type Series = ReadonlyMap<string, readonly Reading[]>

export function MachinesTab({ job }: { job: Job }) {
  const t = useText(machineTexts)
  const api = useApi()
  const isOver = job.finished_at !== null
  const past = useQuery(machineHistoryQuery(api, job.id, isOver))
  const now = useQuery({
    ...machinesQuery(api, job.id),
    enabled: !isOver,
    refetchInterval: asked_ms,
    staleTime: 0,
  })
  const live = useReadings(now.data?.items, job)
  const series = useMemo(() => joined(past.data?.items ?? [], live), [past.data, live])
  return (
    <Asked query={isOver ? past : now}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={isOver ? t('noneEver') : t('none')}>{isOver ? null : t('noneHint')}</Empty>
        ) : (
          <div className="flex flex-col gap-4 p-4">
            <Charts prefix="job" series={series} names={[['cost', t('cost')]]} />
            {items.map((machine) => (
              <MachineCharts key={machine.attempt_id} machine={machine} series={series} />
            ))}
          </div>
        )
      }
    </Asked>
  )
}

function MachineCharts({ machine, series }: { machine: Machine; series: Series }) {
  const t = useText(machineTexts)
  const w = useText(timelineTexts)
  const { attempt_id, shard, number, phase, step, steps, at } = machine
  const gpus = gpusOf(machine)
  return (
    <section className="flex flex-col gap-2">
      <h2 className="flex flex-wrap items-baseline gap-x-4 text-[13px] font-semibold">
        {w('part', { n: shard })} · {number}
        <span className="font-normal text-muted">
          {[phase, step === null ? null : `${t('step')} ${step}${steps === null ? '' : ` / ${steps}`}`]
            .filter(Boolean)
            .join(' · ')}
        </span>
        <span className="font-normal text-muted">
          {t('heard')} <Ago at={at} />
        </span>
      </h2>
      <Charts
        prefix={attempt_id}
        series={series}
        names={[
          ['progress', t('progress')],
          ['cpu', t('cpu')],
          ['memory', t('memory')],
          ...gpus.flatMap((_, n): [string, string][] => [
            [`gpu${n}.utilization`, t('gpu', { n })],
            [`gpu${n}.memory_used_gib`, `${t('gpu', { n })} · ${t('gpuMemory')}`],
            [`gpu${n}.power_w`, `${t('gpu', { n })} · ${t('power')}`],
            [`gpu${n}.temperature_c`, `${t('gpu', { n })} · ${t('temperature')}`],
          ]),
        ]}
      />
    </section>
  )
}

function Charts({
  prefix,
  series,
  names,
}: {
  prefix: string
  series: Series
  names: readonly (readonly [string, string])[]
}) {
  const language = useLanguage()
  return (
    <div className="grid gap-3 sm:grid-cols-2 xl:grid-cols-4">
      {names.map(([name, label]) => {
        const readings = series.get(`${prefix}.${name}`)
        if (readings === undefined) return null
        const unit = unitOf(name, language)
        return <Line key={name} label={label} readings={readings} {...unit} />
      })}
    </div>
  )
}

function unitOf(name: string, language: Language): { format: (value: number) => string; most?: number } {
  if (name === 'cost') return { format: (value) => money(value, language) }
  if (name.endsWith('_gib')) return { format: (value) => `${value.toFixed(1)} GiB` }
  if (name.endsWith('_w')) return { format: (value) => `${Math.round(value)} W` }
  if (name.endsWith('_c')) return { format: (value) => `${Math.round(value)} °C` }
  return { format: (value) => percent(value, language), most: 1 }
}

/** What was said before the page was opened, and since. */
function joined(machines: readonly Machine[], live: Series): Series {
  const all = new Map<string, Reading[]>()
  for (const { attempt_id, history = [] } of machines)
    for (const { at, progress = null, ...machine } of history)
      for (const [name, value] of figuresOf({ progress, machine })) {
        const key = `${attempt_id}.${name}`
        const readings = all.get(key) ?? []
        readings.push({ at: new Date(at).getTime(), value })
        all.set(key, readings)
      }
  for (const [key, readings] of live) {
    const before = all.get(key) ?? []
    const last = before.at(-1)?.at ?? 0
    all.set(key, [...before, ...readings.filter(({ at }) => at > last)])
  }
  return all
}

/** Adds what each answer says to what was said before. */
function useReadings(items: readonly Machine[] | undefined, job: Job): Series {
  const [series, setSeries] = useState<Series>(new Map())
  const usd = job.cost.actual_usd
  useEffect(() => {
    if (items === undefined) return
    setSeries((before) => {
      const after = new Map(before)
      for (const machine of items) {
        const at = new Date(machine.at).getTime()
        for (const [name, value] of figuresOf(machine))
          add(after, `${machine.attempt_id}.${name}`, { at, value })
      }
      const latest = Math.max(0, ...items.map(({ at }) => new Date(at).getTime()))
      if (latest > 0) add(after, 'job.cost', { at: latest, value: usd })
      return after
    })
  }, [items, usd])
  return series
}

function add(series: Map<string, readonly Reading[]>, name: string, reading: Reading) {
  const known = series.get(name) ?? []
  if (known.at(-1)?.at === reading.at) return
  series.set(name, [...known, reading].slice(-maxReadings))
}

function figuresOf(machine: { progress: number | null; machine: object }): [string, number][] {
  const { cpu, memory } = machine.machine as { cpu?: unknown; memory?: unknown }
  const all: [string, unknown][] = [
    ['progress', machine.progress],
    ['cpu', cpu],
    ['memory', memory],
    ...gpusOf(machine).flatMap((gpu, n) =>
      Object.entries(gpu).map(([name, value]): [string, unknown] => [`gpu${n}.${name}`, value]),
    ),
  ]
  return all.filter((each): each is [string, number] => typeof each[1] === 'number')
}

function gpusOf({ machine }: { machine: object }): Record<string, unknown>[] {
  const { gpus } = machine as { gpus?: unknown }
  return Array.isArray(gpus) ? (gpus as Record<string, unknown>[]) : []
}
