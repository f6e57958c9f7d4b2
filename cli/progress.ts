// What a person sees while a job is waited for: a bar on a terminal, else a line now and then.
import { MultiBar } from 'cli-progress'
import type { Job } from './client.ts'
import type { Io } from './io.ts'
import { harmless, hasColours, oneLine, paint, write } from './text.ts'

/** Without a bar a line is printed at every change of state and each time this much more is done. */
const step = 0.1
const [minBar, maxBar] = [5, 30]
/** Percentage, state or phase, and duration. */
const besideBar = 45

export interface View {
  job: (job: Job) => Promise<void>
  /** Lines of the job's log. */
  log: (lines: string) => Promise<void>
  /** Something about the watching itself. */
  note: (text: string) => Promise<void>
  close: () => void
}

/** `json`: standard output is kept for the machine, so that the log goes to standard error too. */
export function openView(io: Io, { json }: { json: boolean }): View {
  const logTo = json ? io.stderr : io.stdout
  if (!io.stderr.isTTY || io.env['TERM'] === 'dumb') return plainView(io, logTo)
  return barView(io, logTo)
}

function plainView(io: Io, logTo: Io['stdout']): View {
  let shown = { state: '', phase: '', progress: 0 }
  return {
    async job(job) {
      const now = { state: job.state, phase: oneLine(job.phase ?? ''), progress: job.progress }
      if (now.state === shown.state && now.progress < shown.progress + step && now.phase === shown.phase)
        return
      shown = now
      await write(io.stderr, `${job.id} ${describe(job)}\n`)
    },
    log: (lines) => write(logTo, lines),
    note: (text) => write(io.stderr, `${harmless(text)}\n`),
    close: () => undefined,
  }
}

const describe = (job: Job) =>
  job.state === 'running'
    ? `running ${Math.floor(job.progress * 100)} % ${oneLine(job.phase ?? '')}`.trimEnd()
    : job.state

function barView(io: Io, logTo: Io['stdout']): View {
  const colour = hasColours(io, io.stderr)
  const format = colour
    ? '\u001b[32m{bar}\u001b[0m {percentage} %  {what}  {duration_formatted}'
    : '{bar} {percentage} %  {what}  {duration_formatted}'
  const bars = new MultiBar({
    format,
    stream: io.stderr,
    // The whole line must fit: it is redrawn in place, and the terminal goes on wrapping the log's lines.
    barsize: Math.max(minBar, Math.min(maxBar, (io.stderr.columns ?? 80) - besideBar)),
    linewrap: true,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    clearOnComplete: true,
  })
  const bar = bars.create(100, 0, { what: 'waiting' })
  // Above the bar when both are on this terminal.
  const above = async (text: string) => bars.log(text)
  return {
    async job(job) {
      const what = job.state === 'running' ? oneLine(job.phase ?? 'running') : job.state
      bar.update(Math.floor(job.progress * 100), { what })
    },
    log: (lines) => (logTo.isTTY && lines !== '' ? above(lines) : write(logTo, lines)),
    note: (text) => above(`${paint(io, io.stderr, 'yellow', harmless(text))}\n`),
    close() {
      // Stopping alone would drop the lines that wait for the next redraw.
      bars.update()
      bars.stop()
    },
  }
}
