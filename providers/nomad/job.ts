// What an attempt is as a Nomad job, and what an observation is of a job and its allocation.
import type { LaunchRequest, LaunchSecrets, Observation } from '../provider.ts'

export interface Job {
  ID: string
  Status: 'pending' | 'running' | 'dead'
  Meta: Record<string, string> | null
  /** Nanoseconds since 1970. */
  SubmitTime: number
  JobSummary: { Summary: Record<string, { Queued: number }> } | null
}

export interface Allocation {
  ID: string
  JobID: string
  ClientStatus: 'pending' | 'running' | 'complete' | 'failed' | 'lost' | 'unknown'
  PreemptedByAllocation: string
  TaskStates: Record<string, { Events: TaskEvent[] | null }> | null
}

interface TaskEvent {
  Type: string
  ExitCode: number
  DisplayMessage: string
  DriverError: string
  Details: Record<string, string> | null
}

/** https://developer.hashicorp.com/nomad/api-docs/json-jobs */
export function jobOf(request: LaunchRequest, secrets: LaunchSecrets, namespace: string): object {
  const { registry } = secrets
  const auth = registry && {
    server_address: registry.server,
    username: registry.username,
    password: registry.password,
  }
  const gpu = request.offer.gpu
  return {
    ID: request.name,
    Name: request.name,
    Namespace: namespace,
    Type: 'batch',
    Datacenters: ['*'],
    Meta: {
      berth_installation: request.installation,
      berth_attempt: request.attempt_id,
      berth_usd_per_hour: String(request.offer.usd_per_hour),
    },
    TaskGroups: [
      {
        Name: 'runner',
        Count: 1,
        // Berth alone repeats work: another try is another attempt.
        RestartPolicy: { Attempts: 0, Mode: 'fail' },
        ReschedulePolicy: { Attempts: 0, Unlimited: false },
        EphemeralDisk: { SizeMB: Math.ceil(request.disk_gib * 1024) },
        Tasks: [
          {
            Name: 'runner',
            Driver: 'docker',
            Config: {
              image: request.image,
              ...(request.command && { entrypoint: request.command }),
              ...(auth && { auth: [auth] }),
            },
            Env: {
              BERTH_URL: request.berth_url,
              BERTH_ATTEMPT_ID: request.attempt_id,
              BERTH_TOKEN: secrets.token,
            },
            Resources: {
              Cores: Math.ceil(request.cpu),
              MemoryMB: Math.ceil(request.memory_gib * 1024),
              ...(gpu && { Devices: [{ Name: `nvidia/gpu/${gpu.model}`, Count: gpu.count }] }),
            },
            // The runner saves a checkpoint when it is told to stop. Nanoseconds.
            KillTimeout: 30e9,
          },
        ],
      },
    ],
  }
}

/** Never run: what a permission is tried with. */
export const probeOf = (namespace: string) => ({
  ID: 'berth-check',
  Name: 'berth-check',
  Namespace: namespace,
  Type: 'batch',
  Datacenters: ['*'],
  TaskGroups: [
    { Name: 'runner', Count: 1, Tasks: [{ Name: 'runner', Driver: 'docker', Config: { image: 'busybox' } }] },
  ],
})

export function observationOf(seen: { job: Job; allocation: Allocation | null } | undefined): Observation {
  if (!seen) return { state: 'gone', detail: null }
  const { job, allocation } = seen
  if (!allocation) {
    if (job.Status === 'dead')
      return { state: 'exited', exit_code: null, detail: 'stopped before it was placed' }
    // Queued: an evaluation found no node for it, and waits for one.
    const waits = (job.JobSummary?.Summary['runner']?.Queued ?? 0) > 0
    return waits
      ? { state: 'pending', detail: 'no node has room for it', reason: 'capacity' }
      : { state: 'pending', detail: null }
  }
  switch (allocation.ClientStatus) {
    case 'pending':
      return { state: 'pending', detail: lastOf(allocation)?.DisplayMessage ?? null }
    case 'running':
      return { state: 'running', detail: null }
    // Its node is not heard, and it may go on: Nomad says `lost` when it has given it up.
    case 'unknown':
      return { state: 'unseen', detail: 'the node of the allocation cannot be reached' }
    case 'complete':
    case 'failed':
    case 'lost':
      return endOf(allocation)
  }
}

function endOf(allocation: Allocation): Observation {
  const events = allocation.TaskStates?.['runner']?.Events ?? []
  const exit = events.findLast(({ Type }) => Type === 'Terminated')
  const isPreempted = allocation.PreemptedByAllocation !== ''
  const isImage = !exit && events.some(({ DriverError }) => /failed to pull/i.test(DriverError))
  const reason = isPreempted
    ? 'preempted'
    : exit?.Details?.['oom_killed'] === 'true'
      ? 'out_of_memory'
      : isImage
        ? 'image'
        : null
  const detail =
    allocation.ClientStatus === 'lost' ? 'its node was lost' : (lastOf(allocation)?.DisplayMessage ?? null)
  return { state: 'exited', exit_code: exit?.ExitCode ?? null, detail, reason }
}

const lastOf = (allocation: Allocation) => allocation.TaskStates?.['runner']?.Events?.at(-1)
