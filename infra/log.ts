import { pino } from 'pino'
import type { Log } from '../jobs/deps.ts'

/** JSON lines on standard error, so that standard output stays for what people read. */
export function createLog(level: 'debug' | 'info' | 'warn' | 'error'): Log {
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  )
  return (at, message, fields) => logger[at](fields ?? {}, message)
}
