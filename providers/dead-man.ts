// When a vendor that counts from the start of the work ends it by itself: the bound on a loss when nobody is left to stop it.
import { TypeID } from 'typeid-js'
import type { LaunchRequest } from './provider.ts'

/** Berth stops at its own deadline; this long after it the vendor ends what nobody stopped. */
const afterDeadline_s = 15 * 60
/** No attempt runs longer: an id that says so was not made from a time. */
const longestRun_s = 31 * 86_400

/**
 * Counted from the attempt's own time, which its id holds, and by the vendor from the later moment when the work starts: so it
 * fires after Berth's deadline, and says the same at every launch. An id that tells no time of this run is counted from now.
 */
export function deadManSeconds({ attempt_id, deadline_at }: LaunchRequest, now: Date): number {
  const deadline = Date.parse(deadline_at)
  const [told, counted] = [timeOf(attempt_id) ?? Number.NaN, now.getTime()]
  const isTold = told <= deadline && told > deadline - longestRun_s * 1000
  return Math.max(0, Math.ceil((deadline - (isTold ? told : counted)) / 1000)) + afterDeadline_s
}

/** The milliseconds of a UUIDv7. */
function timeOf(id: string): number | null {
  try {
    const uuid = TypeID.fromString(id).toUUID()
    return uuid[14] === '7' ? Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16) : null
  } catch {
    return null
  }
}
