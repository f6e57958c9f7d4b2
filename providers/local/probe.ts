// What this machine has: Python, cores, memory, disk, GPUs.

import { execFile } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import type { Device, Offer } from '../provider.ts'

export interface Gpu {
  index: number
  model: string
  memory_gib: number
  compute_capability: string | null
}

const gib = 1024 ** 3
// A driver in trouble lets nvidia-smi hang.
const nvidiaSmiTimeout_ms = 5000
// A first start from a cold disk is slow; a wrong program that waits for input never ends.
const pythonTimeout_ms = 20_000
const output_max_bytes = 256 * 1024
const pythonVersions = ['3.11', '3.12', '3.13']

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

/** `3.12.4`. Errors: says what is wrong with this Python and what to do. */
export async function probePython(python: string, env: Record<string, string>): Promise<string> {
  const program = 'import sys, fcntl; print(".".join(map(str, sys.version_info[:3])))'
  const version = await run(python, ['-c', program], { env, timeout: pythonTimeout_ms }).catch(
    (error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code
      const why = code === 'ENOENT' ? 'is not there' : 'cannot be started'
      throw new Error(`Python at ${python} ${why}: install Python 3.11 to 3.13`, { cause: error })
    },
  )
  const [major, minor] = version.trim().split('.')
  if (!pythonVersions.includes(`${major}.${minor}`))
    throw new Error(`Python at ${python} is ${version.trim().slice(0, 40)}: install Python 3.11 to 3.13`)
  return version.trim()
}

/** flock(2) as the runner uses it: a second open file of one path must not get the lock. */
export async function probeLock(python: string, env: Record<string, string>, path: string): Promise<boolean> {
  const program = [
    'import fcntl, sys',
    'a, b = open(sys.argv[1], "w"), open(sys.argv[1], "w")',
    'fcntl.flock(a, fcntl.LOCK_EX | fcntl.LOCK_NB)',
    'try: fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)',
    'except BlockingIOError: print("locked")',
  ].join('\n')
  const output = await run(python, ['-c', program, path], { env, timeout: pythonTimeout_ms }).catch(() => '')
  return output.trim() === 'locked'
}

/** One offer of the machine without its GPUs, and one for each GPU. */
export async function offersOf(
  gpus: readonly Gpu[],
  machine: {
    folder: string
    account: string
    region: string
    usd_per_hour: number
    slots_cpu: number
    slots_gpu: number
  },
): Promise<Offer[]> {
  const disk = await statfs(machine.folder)
  const shape = {
    provider: 'local',
    account: machine.account,
    region: machine.region,
    spot: false,
    usd_per_hour: machine.usd_per_hour,
    cpu: availableParallelism(),
    memory_gib: Math.round((totalmem() / gib) * 100) / 100,
    disk_gib: Math.floor((disk.bavail * disk.bsize) / gib),
    available: null,
    price: { source: 'BERTH_LOCAL_USD_PER_HOUR', at: null },
  }
  return [
    { ...shape, id: 'cpu', gpu: null, slots: machine.slots_cpu },
    ...gpus.map(({ index, model, memory_gib, compute_capability }) => ({
      ...shape,
      id: `cuda:${index}`,
      gpu: { model, count: 1, memory_gib, compute_capability },
      slots: machine.slots_gpu,
    })),
  ]
}

function run(
  file: string,
  args: string[],
  options: { env: Record<string, string>; timeout: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const bounded = { ...options, maxBuffer: output_max_bytes, killSignal: 'SIGKILL' } as const
    execFile(file, args, bounded, (error, stdout) => (error ? reject(error) : resolve(stdout)))
  })
}
