// The runners that a bundle brings along, in a file of their own, which is loaded when a machine asks for one.
import type { RunnerFiles } from '../../jobs/deps.ts'

/** JSON: base64 by name, put here by infra/edge/build.ts. */
declare const BERTH_RUNNER_FILES: string

export function bundledFiles(): RunnerFiles {
  const files = JSON.parse(BERTH_RUNNER_FILES) as Record<keyof RunnerFiles, string>
  const bytes = (name: keyof RunnerFiles) => new Uint8Array(Buffer.from(files[name], 'base64'))
  return { 'runner.pyz': bytes('runner.pyz'), 'runner.sh': bytes('runner.sh') }
}
