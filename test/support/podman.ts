// A real container engine: podman's service on a socket of its own, with images that are made of files of this machine.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { patience_ms } from './patience.ts'

// In a virtual machine without CAP_SYS_RESOURCE and with hybrid cgroups crun cannot start a container; runc can, with
// these bounds. Without a network of its own none has to be set up.
const configuration = `[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
`
export const busyboxImage = 'berth.test/busybox:1'
const busybox = '/usr/bin/busybox'
const applets =
  'awk base64 basename cat cp cut date dd dirname env find grep head id kill ls mkdir mkfifo mktemp mount mv nc od printf ' +
  'ps pwd rm sed setsid sh sha256sum sleep sort stat sync tail test timeout touch tr true uname wc wget'

export interface ContainerEngine {
  socket: string
  /** What podman is told so that it works on this engine's images. */
  store: readonly string[]
  environment: Readonly<Record<string, string>>
  /** Makes an image of a folder's content. */
  import(folder: string, name: string): void
  /** As somebody else would do it. */
  podman(args: readonly string[]): void
  /** How many of this name run. */
  running(name: string): number
  /** Into the folder of the work of a container. */
  write(name: string, file: string, text: string): void
  /** Ends the service; its containers go on. */
  stop(): Promise<void>
  start(): Promise<void>
  /** Removes everything that was started. */
  close(): Promise<void>
}

/** Why there is no engine; null: there is one. */
export const noPodman = missing()

function missing(): string | null {
  const skipped = (why: string) => `tests on real containers are skipped: ${why}`
  for (const program of ['podman', 'runc'])
    if (spawnSync(program, ['--version']).error) return skipped(`${program} is not installed`)
  if (!existsSync(busybox)) return skipped('busybox-static is not installed')
  if (process.getuid?.() !== 0) return skipped('only root may set the limits that they look at')
  const folder = makeFolder()
  try {
    importBusybox(folder)
    const tried = podman(folder, ['run', '--rm', '--memory', '64m', busyboxImage, 'true'])
    return tried.status === 0 ? null : skipped(`podman cannot run one here: ${words(tried.stderr)}`)
  } catch (error) {
    return skipped((error as Error).message)
  } finally {
    removeFolder(folder)
  }
}

export async function openEngine(): Promise<ContainerEngine> {
  const folder = makeFolder()
  const socket = join(folder, 'engine.sock')
  let service: ChildProcess | null = null
  const engine: ContainerEngine = {
    socket,
    store: store(folder),
    environment: { CONTAINERS_CONF: join(folder, 'containers.conf'), HOME: folder },
    import: (from, name) => importFolder(folder, from, name),
    podman: (args) => void podman(folder, args),
    running(name) {
      const seen = podman(folder, ['ps', '--quiet', '--filter', `name=^${name}$`])
      return seen.stdout.toString().split('\n').filter(Boolean).length
    },
    write(name, file, text) {
      // Renamed, so that it is there as a whole.
      const script = `cat > new && mv new ${file}`
      const args = ['exec', '--interactive', name, 'sh', '-c', script]
      const written = podman(folder, args, text)
      if (written.status !== 0) throw new Error(`podman exec: ${words(written.stderr)}`)
    },
    async start() {
      service = spawn('podman', [...store(folder), 'system', 'service', '--time=0', `unix://${socket}`], {
        cwd: folder, // its helper leaves a file where it stands when memory runs out
        env: environment(folder),
        stdio: 'ignore',
      })
      const began = performance.now()
      while (!existsSync(socket)) {
        if (performance.now() - began > patience_ms) throw new Error('podman does not start')
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async stop() {
      const stopped = service
      service = null
      if (stopped === null || stopped.exitCode !== null) return
      const over = new Promise((resolve) => stopped.once('exit', resolve))
      stopped.kill('SIGTERM')
      await over
      rmSync(socket, { force: true })
    },
    async close() {
      await engine.stop()
      removeFolder(folder)
    },
  }
  importBusybox(folder)
  await engine.start()
  return engine
}

function importBusybox(folder: string) {
  const root = join(folder, 'busybox')
  mkdirSync(join(root, 'bin'), { recursive: true })
  for (const each of ['tmp', 'etc']) mkdirSync(join(root, each))
  chmodSync(join(root, 'tmp'), 0o1777)
  copyFileSync(busybox, join(root, 'bin', 'busybox'))
  for (const applet of applets.split(' ')) symlinkSync('busybox', join(root, 'bin', applet))
  // A file that its owner may not run.
  writeFileSync(join(root, 'etc', 'plain'), 'no program\n', { mode: 0o644 })
  importFolder(folder, root, busyboxImage)
}

function importFolder(folder: string, from: string, name: string) {
  const archive = join(folder, 'image.tar')
  const tar = spawnSync('tar', ['-C', from, '-cf', archive, '.'], { timeout: patience_ms })
  if (tar.status !== 0) throw new Error(`tar: ${words(tar.stderr)}`)
  const made = podman(folder, ['import', '--quiet', archive, name])
  rmSync(archive)
  if (made.status !== 0) throw new Error(`podman import: ${words(made.stderr)}`)
}

/** Short, because the paths of sockets are. */
function makeFolder(): string {
  const folder = mkdtempSync('/tmp/bp-')
  writeFileSync(join(folder, 'containers.conf'), configuration)
  return folder
}

function removeFolder(folder: string) {
  podman(folder, ['rm', '--all', '--force', '--time', '0'])
  podman(folder, ['umount', '--all'])
  // The store binds its own folder to keep the mounts of containers private.
  spawnSync('umount', [join(folder, 'root', 'overlay')], { timeout: patience_ms })
  rmSync(folder, { recursive: true, force: true })
}

function podman(folder: string, args: readonly string[], input = '') {
  const given = { cwd: folder, env: environment(folder), timeout: patience_ms, input }
  return spawnSync('podman', [...store(folder), ...args], given)
}

function store(folder: string): string[] {
  return ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--tmpdir', join(folder, 'tmp')]
}

function environment(folder: string): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], CONTAINERS_CONF: join(folder, 'containers.conf'), HOME: folder }
}

function words(bytes: Buffer): string {
  return bytes.toString().trim().split('\n').at(-1)?.slice(0, 300) ?? ''
}
