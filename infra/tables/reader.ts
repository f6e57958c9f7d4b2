// Columns of files, decoded by processes beside the server: they end with what they cannot digest, and the server goes on.
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import {
  type ColumnReader,
  type ColumnsFound,
  type TableFault,
  type TableFile,
  TablesBusy,
} from '../../jobs/deps.ts'
import type { Given, Task, Told } from './program.ts'

/** More would take the cores of a small machine from the server itself. */
const mostProcesses = 2
/** Of its heap; what it holds besides is bounded by what is asked of it. */
const heap_mib = 512
/** The largest table that is read takes some seconds on a slow core. */
const task_ms = 20_000
/** A process that has nothing to do costs memory only. */
const idle_ms = 60_000
/** Each waits for seconds at most; more would wait for minutes. */
const mostWaiting = 32
/** Read from the store for one table. */
const maxRead_bytes = 256 * 1024 ** 2

interface Program {
  child: ChildProcess
  idle: NodeJS.Timeout | null
}

/** Its processes end with this one, or when they have had nothing to do for a while. */
export function createColumnReader(): ColumnReader {
  const free: Program[] = []
  const all = new Set<Program>()
  const waiting: ((program: Program | null) => void)[] = []
  const end = (program: Program) => {
    if (program.idle) clearTimeout(program.idle)
    all.delete(program)
    const at = free.indexOf(program)
    if (at >= 0) free.splice(at, 1)
    program.child.kill('SIGKILL')
  }
  const take = async (): Promise<Program> => {
    for (;;) {
      const program = free.pop()
      if (program) {
        if (program.idle) clearTimeout(program.idle)
        if (program.child.connected) return program
        end(program)
        continue
      }
      if (all.size < mostProcesses) {
        const made = { child: start(), idle: null }
        all.add(made)
        return made
      }
      if (waiting.length >= mostWaiting) throw new TablesBusy('too many tables are being read')
      const { promise, resolve } = Promise.withResolvers<Program | null>()
      waiting.push(resolve)
      const given = await promise
      if (given) return given
    }
  }
  const release = (program: Program, isWell: boolean) => {
    if (!isWell) end(program)
    const next = waiting.shift()
    if (next) return next(isWell ? program : null)
    if (!isWell) return
    free.push(program)
    program.idle = setTimeout(() => end(program), idle_ms)
    program.idle.unref()
  }
  return {
    async read(format, file, wanted) {
      const program = await take()
      let isWell = false
      try {
        const found = await runTask(program.child, { format, bytes: file.bytes, wanted }, file)
        isWell = found !== null
        return (
          found ?? {
            fault: { code: 'too_large', detail: 'it takes more memory or time than reading a table may' },
          }
        )
      } finally {
        release(program, isWell)
      }
    },
  }
}

/** Nothing of the server's environment, for it holds secrets. */
function start(): ChildProcess {
  const child = fork(join(import.meta.dirname, 'program.ts'), {
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${heap_mib}`],
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  // Whoever waits for an answer is what keeps the server running.
  child.unref()
  child.channel?.unref()
  return child
}

/** null: the process has ended, or did not answer in time. Rejects with what reading the file rejects with. */
async function runTask(
  child: ChildProcess,
  task: Task,
  file: TableFile,
): Promise<ColumnsFound | { fault: TableFault } | null> {
  const { promise, resolve, reject } = Promise.withResolvers<ColumnsFound | { fault: TableFault } | null>()
  let left = maxRead_bytes
  const send = (message: Given) => child.send(message, (error) => error && resolve(null))
  const onMessage = (message: Told) => {
    if (message.told === 'found') return resolve(message.found)
    left -= message.end - message.start
    if (left < 0) return resolve(null)
    file.read(message.start, message.end).then((bytes) => send({ given: 'bytes', bytes }), reject)
  }
  const onEnd = () => resolve(null)
  const timer = setTimeout(onEnd, task_ms)
  child.on('message', onMessage).once('exit', onEnd).once('error', onEnd)
  try {
    send({ given: 'task', task })
    return await promise
  } finally {
    clearTimeout(timer)
    child.off('message', onMessage).off('exit', onEnd).off('error', onEnd)
  }
}
