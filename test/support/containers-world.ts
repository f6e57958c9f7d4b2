// An engine, a provider on it, and what is asked of it.

import { busyboxImage } from './podman.ts'
import {
  type ContainersProviderOptions,
  createContainersProvider,
} from '../../providers/containers/containers.ts'
import type { LaunchRequest, Observation, Provider, Ref } from '../../providers/provider.ts'

export const token = 'brt_the-attempts-own-secret'
export const signal = new AbortController().signal
export const installation = 'abcdef'

export function containersProvider(
  engine: ContainersProviderOptions['engine'],
  options: Partial<Omit<ContainersProviderOptions, 'policy'>> & {
    policy?: Partial<ContainersProviderOptions['policy']>
  } = {},
): Provider {
  return createContainersProvider({
    account: 'machine',
    host: 'here',
    installation,
    engine,
    usd_per_hour: 0.02,
    slots_cpu: 4,
    slots_gpu: 1,
    inherited_env: { PATH: '/none' },
    clock: { now: () => new Date('2026-01-01T00:00:00Z') },
    stop_grace_s: 5,
    ...options,
    policy: {
      network: 'host',
      user: '65534:65534',
      gpus_by: 'nvidia',
      pull: 'missing',
      env: {},
      ...options.policy,
    },
  })
}

/** Attempts of their own for each test, so that what one leaves is nobody else's. */
export function attemptIds(): () => string {
  let made = 0
  return () => `att_01jd3m4k5nep7r8r9s0t1v${String(made++).padStart(4, '0')}`
}

export function requestOf(attempt_id: string, change: Partial<LaunchRequest> = {}): LaunchRequest {
  return {
    attempt_id,
    name: `berth-${installation}-${attempt_id.slice(4)}`,
    installation,
    kind: 'custom',
    offer: {
      id: 'cpu',
      provider: 'containers',
      account: 'machine',
      region: 'here',
      spot: false,
      usd_per_hour: 0.02,
      gpu: null,
      cpu: 2,
      memory_gib: 8,
      disk_gib: 10,
      available: null,
      slots: 4,
    },
    image: busyboxImage,
    command: null,
    device: 'cpu',
    cpu: 0.5,
    memory_gib: 0.0625,
    disk_gib: 1,
    deadline_at: '2026-01-01T02:00:00Z',
    berth_url: 'http://127.0.0.1:8080',
    ...change,
  }
}

export const shell = (script: string): string[] => ['sh', '-c', script]

export function refOf(request: LaunchRequest): Extract<Ref, { request: LaunchRequest }> {
  const handle = { host: request.offer.region, name: request.name }
  return { attempt_id: request.attempt_id, handle, request }
}

export async function inspectOne(provider: Provider, request: LaunchRequest): Promise<Observation> {
  const [seen] = await provider.inspect([refOf(request)], signal)
  return seen as Observation
}
