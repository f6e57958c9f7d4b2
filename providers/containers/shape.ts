// The container of an attempt, as the engine is asked for it. Pure.

import type { LaunchRequest, LaunchSecrets } from '../provider.ts'

/** How the containers of an account are made. */
export interface ContainerPolicy {
  /**
   * `host`, `bridge`, or a network that the engine has. The work must reach Berth, so there is no `none`: what may
   * be reached besides is the business of a network of its own.
   */
  network: string
  /** `uid:gid` that the work runs as, whatever the image says; null: the image's own user. */
  user: string | null
  /** How the engine gives GPUs: by Docker's own request, or by the Container Device Interface. */
  gpus_by: 'nvidia' | 'cdi'
  /** Besides what every runner is told (BERTH_RUNNER_* in tests); never a secret. */
  env: Readonly<Record<string, string>>
}

export const labels = {
  installation: 'berth.installation',
  attempt: 'berth.attempt',
  /** On the volume of an attempt that cannot start: why, and with which exit code. */
  problem: 'berth.problem',
  exit_code: 'berth.exit-code',
} as const

/** The disk of the work: a volume of the attempt's own name. The root of the container is read-only. */
const volumePath = '/berth'
export const homePath = `${volumePath}/work`
const temporaryPath = `${volumePath}/tmp`

const gib = 1024 ** 3
/** Threads count: numeric libraries start one for each core, in each process. */
const pidsMax = 4_096
/** For locks and sockets; files belong under TMPDIR, which is on the disk. It counts as memory of the work. */
const tmpfs_mib = 64
/** The log of the engine is read only when the runner never spoke. */
const log = { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } }

export function labelsOf(request: LaunchRequest): Record<string, string> {
  return { [labels.installation]: request.installation, [labels.attempt]: request.attempt_id }
}

/** The body of `POST /containers/create`. */
export function containerOf(
  request: LaunchRequest & { image: string },
  secrets: LaunchSecrets,
  policy: ContainerPolicy,
): object {
  const memory = Math.ceil(request.memory_gib * gib)
  const command = request.command ?? null
  return {
    Image: request.image,
    ...(command === null ? {} : { Entrypoint: command, Cmd: [] }),
    Env: Object.entries(envOf(request, secrets, policy)).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(request),
    WorkingDir: homePath,
    ...(policy.user === null ? {} : { User: policy.user }),
    HostConfig: {
      NetworkMode: policy.network,
      ...(hostOf(request.berth_url) === dockerHost ? { ExtraHosts: [`${dockerHost}:host-gateway`] } : {}),
      Memory: memory,
      MemorySwap: memory, // the sum of both: no swap
      NanoCpus: Math.round(request.cpu * 1e9),
      PidsLimit: pidsMax,
      ReadonlyRootfs: true,
      // Shared memory between the processes of a program; it counts as memory of the work.
      ShmSize: Math.floor(memory / 2),
      Tmpfs: { '/tmp': `size=${tmpfs_mib}m,mode=1777` },
      Mounts: [{ Type: 'volume', Source: request.name, Target: volumePath }],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      RestartPolicy: { Name: 'no' }, // a second run of the same attempt would be a second start
      AutoRemove: false, // the exit code would go with it
      LogConfig: log,
      ...gpuOf(request, policy),
    },
  }
}

/** Folders of the volume that any user of any image can write, as a tar archive. */
export function foldersArchive(): Buffer {
  const folders = [homePath, temporaryPath].map((path) =>
    folderHeader(`${path.slice(volumePath.length + 1)}/`),
  )
  return Buffer.concat([...folders, Buffer.alloc(1_024)])
}

/** Where the archive goes. */
export const archivePath = volumePath

/** Why the work could not reach Berth from there; null: nothing is known against it. */
export function unreachable(berth_url: string, network: string): string | null {
  if (network === 'none') return 'the account has the network "none", and a runner must reach Berth'
  if (network === 'host' || !isLoopback(hostOf(berth_url))) return null
  return `${berth_url} is not reached from the network ${network}: set BERTH_PUBLIC_URL, or the network "host"`
}

/** Docker's name for the machine itself, where a container asks for it. */
const dockerHost = 'host.docker.internal'

function envOf(
  request: LaunchRequest,
  { token }: LaunchSecrets,
  { env }: ContainerPolicy,
): Record<string, string> {
  return {
    ...env,
    HOME: homePath,
    TMPDIR: temporaryPath,
    BERTH_URL: request.berth_url,
    BERTH_ATTEMPT_ID: request.attempt_id,
    BERTH_TOKEN: token,
    BERTH_HOME: homePath,
  }
}

function gpuOf(request: LaunchRequest, { gpus_by }: ContainerPolicy): object {
  const index = /^cuda:(\d{1,3})$/.exec(request.offer.id)?.[1]
  if (index === undefined || request.device === 'cpu') return {}
  const given =
    gpus_by === 'cdi'
      ? { Driver: 'cdi', DeviceIDs: [`nvidia.com/gpu=${index}`] }
      : { Driver: 'nvidia', DeviceIDs: [index], Capabilities: [['gpu']] }
  return { DeviceRequests: [given] }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}

/** One header of POSIX.1-1988 ustar: a folder that everybody may write, like /tmp. */
function folderHeader(name: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  header.write('0001777\0', 100)
  header.write('0000000\0', 108) // uid
  header.write('0000000\0', 116) // gid
  header.write('00000000000\0', 124) // size
  header.write('00000000000\0', 136) // time
  header.write('        ', 148) // the checksum counts as spaces
  header.write('5', 156)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}
