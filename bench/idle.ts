// `npm run bench -- idle [--seconds 60]`: processor time of a server that has nothing to do.
import { readFileSync } from 'node:fs'
import { openDesk } from '../test/support/desk.ts'
import { type Measurement, option, rounded } from './measurement.ts'

/** Clock ticks a second in /proc/<pid>/stat: fixed at 100 on every Linux that Node supports. */
const ticks_per_s = 100

export const measure: Measurement = async (options) => {
  const seconds = option(options, 'seconds', 60)
  await using desk = await openDesk()
  const pid = desk.server().child.pid ?? 0
  await new Promise((done) => setTimeout(done, 5_000))
  const before = ticks(pid)
  await new Promise((done) => setTimeout(done, seconds * 1_000))
  const share = (ticks(pid) - before) / ticks_per_s / seconds
  return {
    figures: { seconds, cpu_percent_of_a_core: rounded(share * 100, 3), resident_mib: resident(pid) },
    targets: { cpu_percent_of_a_core: { at_most: 1 } },
  }
}

function ticks(pid: number): number {
  // Fields 14 and 15, user and system time, counted after the name, which may hold blanks (proc_pid_stat(5)).
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

function resident(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(line?.[1] ?? 0) / 1_024)
}
