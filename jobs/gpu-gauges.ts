// How the GPUs are that are there or at work, by what they are called.
import type { Deps } from './deps.ts'
import type { Gauge } from './gauges.ts'
import { gpusNow } from './gpus.ts'

export async function gpuGauges(deps: Deps): Promise<Gauge[]> {
  const gpus = await gpusNow(deps, null)
  return [
    {
      name: 'berth_gpus',
      help: 'GPUs that are there or at work.',
      labels: gpuLabels,
      values: most(gpus, () => 1, sum),
    },
    {
      name: 'berth_gpu_utilization_ratio',
      help: 'Of the busiest GPU.',
      labels: gpuLabels,
      values: most(gpus, ({ utilization }) => utilization),
    },
    {
      name: 'berth_gpu_memory_used_ratio',
      help: 'Of the GPU whose memory is fullest.',
      labels: gpuLabels,
      values: most(gpus, ({ memory_used_gib, memory_gib }) =>
        memory_used_gib === null || !memory_gib ? null : memory_used_gib / memory_gib,
      ),
    },
    {
      name: 'berth_gpu_temperature_celsius',
      help: 'Of the hottest GPU.',
      labels: gpuLabels,
      values: most(gpus, ({ temperature_c }) => temperature_c),
    },
    {
      name: 'berth_gpu_power_watts',
      help: 'Of the GPU that takes most.',
      labels: gpuLabels,
      values: most(gpus, ({ power_w }) => power_w),
    },
  ]
}

type Gpu = Awaited<ReturnType<typeof gpusNow>>[number]

/** Not of each GPU: those of clouds come and go with every attempt, and each would be a series of its own. */
const gpuLabels = ['provider', 'account', 'model'] as const
const sum = (a: number, b: number) => a + b

/** The greatest of a figure by what GPUs are called; those that do not tell it are left out. */
function most(gpus: readonly Gpu[], figure: (gpu: Gpu) => number | null, join = Math.max): Gauge['values'] {
  const found = new Map<string, Gauge['values'][number]>()
  for (const gpu of gpus) {
    const value = figure(gpu)
    if (value === null) continue
    const labels = { provider: gpu.provider, account: gpu.account, model: gpu.model }
    const key = Object.values(labels).join('/')
    const before = found.get(key)
    found.set(key, { labels, value: before ? join(before.value, value) : value })
  }
  return [...found.values()]
}
