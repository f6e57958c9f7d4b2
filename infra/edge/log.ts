import type { Log } from '../../jobs/deps.ts'
import { classOf } from '../log-class.ts'

/** As pino numbers them, so that what is collected reads alike whatever the runtime. */
const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const

/** JSON lines, where the runtime collects what is written to the console. */
export function createConsoleLog(least: keyof typeof levels): Log {
  return (at, message, fields = {}) => {
    if (levels[at] < levels[least]) return
    console.error(
      JSON.stringify({
        level: levels[at],
        time: new Date().toISOString(),
        ...fields,
        class: classOf(at, fields),
        msg: message,
      }),
    )
  }
}
