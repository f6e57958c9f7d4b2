// The local provider for the conformance suite: real processes of this machine are its back end.
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Subject } from '../../providers/conformance/subject.ts'
import { killAll, sendSignal } from '../../providers/local/processes.ts'
import { openLocalWorld, until } from './local-world.ts'

const program = `
print("up", flush=True)
while not os.path.exists("finish"): time.sleep(0.01)
result()
sys.exit(int(open("finish").read()))`

/** A step of waiting; the suite takes 200 of them at most. */
const step_ms = 100

export const localSubject: Subject = {
  name: 'local',
  async open() {
    const world = await openLocalWorld()
    await world.work(program)
    const pathOf = (attempt_id: string) => join(world.attempts, attempt_id)
    return {
      provider: () => world.provider(),
      request: (attempt_id) => world.request(attempt_id),
      secrets: [],
      // What is real here takes its time anyway: no lag has to be sat out.
      pass: (ms) => sleep(Math.min(ms, step_ms)),
      patience_ms: 200 * step_ms,
      back: {
        async things(attempt_id) {
          // One that finds the folder locked ends at once, and is no thing.
          let count = 0
          await until(async () => (count = await runnersOf(pathOf(attempt_id))) < 2)
          return count
        },
        async vanish(attempt_id) {
          const runners = await pidsOf(pathOf(attempt_id))
          for (const pid of runners) sendSignal(pid, 'SIGKILL')
          await killAll(pathOf(attempt_id), [])
          await rm(pathOf(attempt_id), { recursive: true, force: true })
        },
        async finish(attempt_id, exit_code) {
          await world.up(attempt_id)
          const path = pathOf(attempt_id)
          await writeFile(join(path, 'finish.tmp'), String(exit_code))
          await rename(join(path, 'finish.tmp'), join(path, 'finish'))
        },
      },
      close: () => world.close(),
    }
  },
}

const runnersOf = async (path: string) => (await pidsOf(path)).length

/** What a runner forks has its command line until it executes its own: it is no runner, and has one as parent. */
async function pidsOf(path: string): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const read = (file: string) => readFile(`/proc/${name}/${file}`, 'latin1').catch(() => '')
    const isRunner = (await read('cmdline')).includes('\0berth_runner\0')
    if (!isRunner || !(await read('environ')).split('\0').includes(`BERTH_HOME=${path}`)) continue
    parents.set(Number(name), Number(/^PPid:\s*(\d+)/m.exec(await read('status'))?.[1]))
  }
  return [...parents].flatMap(([pid, parent]) => (parents.has(parent) ? [] : [pid]))
}
