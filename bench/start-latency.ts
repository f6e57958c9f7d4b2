// `npm run bench -- start-latency [--jobs 40]`: from the submit request to the runner's process and to the program's
// first line, on the embedded database with the local provider, one job at a time.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDesk, realBacktest } from '../test/support/desk.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'

/** The first jobs load files into the page cache and compile the kernel. */
const warmUps = 3

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 40)
  const [process_ms, line_ms]: [number[], number[]] = [[], []]
  await using desk = await openDesk()
  for (let n = 0; n < jobs + warmUps; n++) {
    const sent_ms = Date.now()
    const { id } = await desk.submit(realBacktest())
    const job = await desk.ended(id)
    if (n < warmUps) continue
    const folder = join(desk.folder, 'local', job.attempts[0]?.id ?? '')
    process_ms.push(startedAt(join(folder, 'pid.json')) - sent_ms)
    const first = (await desk.log(id)).find(({ stream }) => stream === 'stdout')
    line_ms.push(Date.parse(first?.at ?? '') - sent_ms)
  }
  const figures = {
    jobs,
    runner_p50_ms: rounded(percentile(process_ms, 0.5)),
    runner_p99_ms: rounded(percentile(process_ms, 0.99)),
    first_line_p50_ms: rounded(percentile(line_ms, 0.5)),
    first_line_p99_ms: rounded(percentile(line_ms, 0.99)),
  }
  return {
    figures,
    targets: {
      runner_p50_ms: { at_most: 50 },
      runner_p99_ms: { at_most: 150 },
      first_line_p50_ms: { at_most: 300 },
    },
  }
}

/** When the process started, to 10 ms: its clock ticks since boot (proc_pid_stat(5)) against the uptime. */
function startedAt(pid_file: string): number {
  const { start_time } = JSON.parse(readFileSync(pid_file, 'utf8')) as { start_time: string | number }
  const uptime_ms = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1_000
  return Date.now() - uptime_ms + Number(start_time) * 10
}
