// Bounds that more than one part of the domain counts with.

/** An attempt is paid for this far ahead: what a budget can be overspent by while nobody can be reached. */
export const metering_s = 60
/** SIGTERM to SIGKILL: enough to write a checkpoint of a few GiB to a disk. */
export const stopGrace_s = 30
/** From SIGKILL to the last report: the upload of what was kept. */
export const uploadGrace_s = 120
