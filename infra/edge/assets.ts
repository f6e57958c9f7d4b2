// What a bundle brings along, because a function reads no files: infra/edge/build.ts puts it here.
import type { RunnerFiles } from '../../jobs/deps.ts'

interface Assets {
  /** The newest migration that the bundle knows. */
  migration: string
  /** Versions of the programs, by kind. */
  programs: Record<string, string | null>
  /** Base64, by name. */
  runner_files: Record<keyof RunnerFiles, string>
}
declare const BERTH_ASSETS: Assets

export function readAssets() {
  const { migration, programs, runner_files } = BERTH_ASSETS
  const bytes = (name: keyof RunnerFiles) => new Uint8Array(Buffer.from(runner_files[name], 'base64'))
  // Unpacked when a machine asks for one.
  const files: RunnerFiles = {
    get 'runner.pyz'() {
      return bytes('runner.pyz')
    },
    get 'runner.sh'() {
      return bytes('runner.sh')
    },
  }
  return { migration, programs, runner_files: files }
}
