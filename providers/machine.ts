// What a machine has: its GPUs as `nvidia-smi` tells, and the offers that it makes.

import { execFile } from 'node:child_process'
import type { Device, Offer } from './provider.ts'

export interface Gpu {
  index: number
  model: string
  memory_gib: number
  compute_capability: string | null
}

/** What the offers of one machine have in common. */
export interface Machine extends Pick<
  Offer,
  'provider' | 'account' | 'region' | 'usd_per_hour' | 'cpu' | 'memory_gib' | 'disk_gib' | 'price'
> {
  /** Most attempts at once that use no GPU. */
  slots_cpu: number
  /** Of each GPU. */
  slots_gpu: number
}

// A driver in trouble lets nvidia-smi hang.
const nvidiaSmiTimeout_ms = 5000
const output_max_bytes = 256 * 1024

/** GPUs as `nvidia-smi` names them; none when it is not there or fails. */
export async function probeGpus(env: Record<string, string>): Promise<Gpu[]> {
  const query = '--query-gpu=index,uuid,name,memory.total,compute_cap'
  const options = { env, timeout: nvidiaSmiTimeout_ms }
  const output = await run('nvidia-smi', [query, '--format=csv,noheader,nounits'], options).catch(() => '')
  return output
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .flatMap(([index, _uuid, name, memory_mib, capability]) => {
      if (!/^\d+$/.test(index ?? '') || !name || !(Number(memory_mib) > 0)) return []
      return {
        index: Number(index),
        model: name.replace(/^NVIDIA /, '').replace(/^GeForce /, ''),
        memory_gib: Math.round((Number(memory_mib) / 1024) * 100) / 100,
        compute_capability: /^\d+\.\d+$/.test(capability ?? '') ? (capability ?? null) : null,
      }
    })
}

/** What the GPUs do at the moment, as `nvidia-smi` tells it; none when it is not there or fails. */
export async function probeDevices(env: Record<string, string>, region: string): Promise<Device[]> {
  const query = '--query-gpu=index,memory.used,utilization.gpu,temperature.gpu,power.draw,driver_version'
  const options = { env, timeout: nvidiaSmiTimeout_ms }
  const output = await run('nvidia-smi', [query, '--format=csv,noheader,nounits'], options).catch(() => '')
  const rows = output.split('\n').map((line) => line.split(',').map((cell) => cell.trim()))
  const found = rows.filter(([index]) => /^\d+$/.test(index ?? ''))
  if (found.length === 0) return []
  // The version of CUDA stands in the table for people alone.
  const table = await run('nvidia-smi', [], options).catch(() => '')
  const cuda = /CUDA Version:\s*([\d.]{1,20})/.exec(table)?.[1] ?? null
  return found.map(([index, used_mib, utilization, temperature, power, driver]) => ({
    offer: `cuda:${index}`,
    region,
    index: Number(index),
    memory_used_gib: scaled(used_mib, 1_024),
    utilization: scaled(utilization, 100),
    temperature_c: scaled(temperature, 1),
    power_w: scaled(power, 1),
    driver: driver || null,
    cuda,
  }))
}

/** null: `[N/A]`, or nothing. */
function scaled(text: string | undefined, unit: number): number | null {
  const value = Number.parseFloat(text ?? '')
  return Number.isFinite(value) ? Math.round((value / unit) * 1_000) / 1_000 : null
}

/** One offer of the machine without its GPUs, and one for each GPU. */
export function offersOf(gpus: readonly Gpu[], machine: Machine): Offer[] {
  const { slots_cpu, slots_gpu, ...shape } = machine
  const common = { ...shape, spot: false, available: null }
  return [
    { ...common, id: 'cpu', gpu: null, slots: slots_cpu },
    ...gpus.map(({ index, model, memory_gib, compute_capability }) => ({
      ...common,
      id: `cuda:${index}`,
      gpu: { model, count: 1, memory_gib, compute_capability },
      slots: slots_gpu,
    })),
  ]
}

/** What a program prints; rejects where it fails, is not there or takes too long. */
export function run(
  file: string,
  args: string[],
  options: { env: Record<string, string>; timeout: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const bounded = { ...options, maxBuffer: output_max_bytes, killSignal: 'SIGKILL' } as const
    execFile(file, args, bounded, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
}
