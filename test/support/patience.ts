/**
 * How long a test waits for what has to come. A bound against a hang and no promise of speed: a shared machine may stand still for a
 * minute. Below a test's own limit (vitest.config.ts), which would not say what was waited for.
 */
export const patience_ms = 200_000
