import { pino } from 'pino'
import type { Log } from '../jobs/deps.ts'
import { classOf, type LogClass } from './log-class.ts'
import type { LogFiles } from './log-files.ts'

/**
 * JSON lines on standard error, so that standard output stays for what people read, and in files where there are any. Each says its class,
 * by which it is kept.
 */
export function createLog(level: 'debug' | 'info' | 'warn' | 'error', files: LogFiles | null = null): Log {
  const stream = pino.destination({ fd: 2, sync: true })
  let of: LogClass = 'system'
  const both = {
    write(line: string) {
      stream.write(line)
      files?.write(of, line.trimEnd())
    },
  }
  const logger = pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, both)
  return (at, message, fields = {}) => {
    of = classOf(at, fields)
    logger[at]({ ...fields, class: of }, message)
  }
}
