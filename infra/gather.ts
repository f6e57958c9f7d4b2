import { setImmediate, setTimeout as sleep } from 'node:timers/promises'

/** Resolves when what has arrived by now has been read, or after so many milliseconds. */
export const gather = (ms?: number): Promise<void> => (ms === undefined ? setImmediate() : sleep(ms))
