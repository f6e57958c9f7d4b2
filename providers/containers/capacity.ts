// What the machine of an engine can run, and whether the engine can do what the adapter promises.

import { statfs } from 'node:fs/promises'
import { z } from 'zod'
import { ProviderError } from '../errors.ts'
import type { Gpu, Machine } from '../machine.ts'
import type { Check } from '../provider.ts'
import { type Engine, minor } from './engine.ts'
import type { ContainerPolicy } from './shape.ts'

const info = z.object({
  NCPU: z.number(),
  MemTotal: z.number(),
  DockerRootDir: z.string().nullish(),
  MemoryLimit: z.boolean().nullish(),
  SwapLimit: z.boolean().nullish(),
  CpuCfsQuota: z.boolean().nullish(),
  PidsLimit: z.boolean().nullish(),
  Runtimes: z.record(z.string(), z.unknown()).nullish(),
})
const version = z.object({
  Version: z.string(),
  ApiVersion: z.string(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
})

const gib = 1024 ** 3
/** The first that can ask for GPUs; engines of 2019. */
const leastApi = '1.40'
/** Where the disk of an engine cannot be seen and the account does not say. */
const unseenDisk_gib = 50

export async function machineOf(
  engine: Engine,
  given: Omit<Machine, 'provider' | 'cpu' | 'memory_gib' | 'disk_gib' | 'price'> & {
    disk_gib: number | null
    is_here: boolean
  },
  signal: AbortSignal,
): Promise<Machine> {
  const { is_here, disk_gib, ...account } = given
  const seen = await read(engine, '/info', info, signal)
  return {
    ...account,
    provider: 'containers',
    cpu: seen.NCPU,
    memory_gib: Math.round((seen.MemTotal / gib) * 100) / 100,
    disk_gib: disk_gib ?? (is_here ? await freeDisk(seen.DockerRootDir) : null) ?? unseenDisk_gib,
    price: { source: 'account', at: null },
  }
}

/** Each thing that a launch needs, without launching. Never throws. */
export async function checkEngine(
  engine: Engine,
  given: { policy: ContainerPolicy; gpus: readonly Gpu[] },
  signal: AbortSignal,
): Promise<Check[]> {
  const checks: Check[] = []
  const add = (name: string, ok: boolean, detail: string) => void checks.push({ name, ok, detail })
  try {
    const { Version, ApiVersion, Components } = await read(engine, '/version', version, signal)
    const product = Components?.[0]?.Name ?? 'Docker'
    const isNew = minor(ApiVersion) >= minor(leastApi)
    add(
      'engine',
      isNew,
      `${product} ${Version}, API ${ApiVersion}${isNew ? '' : `: ${leastApi} or newer is needed`}`,
    )
    await read(engine, '/containers/json?limit=1', z.array(z.unknown()), signal)
    add('rights', true, 'containers can be listed')
    limits(await read(engine, '/info', info, signal), given, add)
  } catch (error) {
    const known = error instanceof ProviderError ? error : null
    const name = known?.code === 'unauthorized' ? 'rights' : 'engine'
    add(name, false, known?.detail ?? 'the container engine could not be asked')
  }
  const isReachable = given.policy.network !== 'none'
  add(
    'network',
    isReachable,
    isReachable
      ? `containers use the network ${given.policy.network}`
      : 'the network "none" keeps a runner from Berth: name another in the account',
  )
  return checks
}

function limits(
  seen: z.infer<typeof info>,
  { gpus, policy }: { gpus: readonly Gpu[]; policy: ContainerPolicy },
  add: (name: string, ok: boolean, detail: string) => void,
) {
  const { MemoryLimit, SwapLimit, CpuCfsQuota, PidsLimit } = seen
  const missing = Object.entries({ memory: MemoryLimit, swap: SwapLimit, cpu: CpuCfsQuota, pids: PidsLimit })
    .filter(([, has]) => has === false)
    .map(([name]) => name)
  const isBound = missing.length === 0
  add(
    'limits',
    isBound,
    isBound
      ? 'cores, memory, swap and processes can be bound'
      : `${missing.join(', ')} cannot be bound: enable these cgroup controllers for the engine`,
  )
  if (gpus.length === 0) return add('gpu', true, 'none: CPU only')
  const models = gpus.map(({ model }) => model).join(', ')
  const hasRuntime = policy.gpus_by === 'cdi' || 'nvidia' in (seen.Runtimes ?? {})
  const advice = hasRuntime ? '' : ': install the NVIDIA Container Toolkit, or give GPUs by "cdi"'
  add('gpu', hasRuntime, `${models}${advice}`)
}

async function read<T>(engine: Engine, path: string, shape: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  const call = { method: 'GET', path } as const
  const answer = await engine.call(call, signal)
  if (answer.status !== 200) throw engine.refusal(call, answer)
  const found = shape.safeParse(answer.json)
  if (found.success) return found.data
  throw engine.failure('unavailable', 'the answer of the container engine cannot be read')
}

/** null: it is not on this machine after all, or this user may not look. */
async function freeDisk(path: string | null | undefined): Promise<number | null> {
  const disk = path ? await statfs(path).catch(() => null) : null
  return disk && Math.floor((disk.bavail * disk.bsize) / gib)
}
