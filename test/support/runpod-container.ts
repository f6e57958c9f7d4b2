// A pod's container on this machine, as RunPod starts it: a real shell with the start command of the adapter, a disk of its
// own, and the variables that RunPod adds.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { FakePod } from '../fakes/runpod-cloud.ts'
import { podKey } from '../fakes/runpod.ts'

export interface Container {
  child: ChildProcess
  said: () => string
  /** With all that runs in it, as a machine that is taken away or started again. */
  kill: () => Promise<void>
}

/** `folder`: of the machine; `bin`: what the image has on its PATH. */
export function startContainer(pod: FakePod, folder: string, bin: string): Container {
  // Without a command the image's own entry is the runner, which becomes this at its end.
  const after = { entrypoint: ['/bin/sh', '-c'], cmd: [pod.env['BERTH_AFTER'] ?? ''] }
  const { entrypoint, cmd } = pod.args === '' ? after : (JSON.parse(pod.args) as typeof after)
  const [program = '', ...args] = [...entrypoint, ...cmd]
  const disk = join(folder, 'disk')
  mkdirSync(disk, { recursive: true })
  const child = spawn(program, args, {
    cwd: disk,
    // A group, so that it can be ended whole.
    detached: true,
    env: {
      ...pod.env,
      PATH: bin,
      HOME: disk,
      TMPDIR: disk,
      RUNPOD_POD_ID: pod.id,
      RUNPOD_API_KEY: podKey(pod.id),
      BERTH_AGAIN_S: '0.2',
      BERTH_RUNNER_BACKOFF_MAX_S: '1',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr?.on('data', (block) => (said += String(block)))
  const over = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    child,
    said: () => said,
    async kill() {
      try {
        process.kill(-(child.pid ?? 0), 'SIGKILL')
      } catch {
        // It has ended.
      }
      await over
    },
  }
}

/** "Container disk: ephemeral, wiped on restart". */
export const wipe = (folder: string): void => rmSync(join(folder, 'disk'), { recursive: true, force: true })
