// What a bundle brings along, because a function reads no files: infra/edge/build.ts puts it here.

interface Assets {
  /** The newest migration that the bundle knows. */
  migration: string
  /** Versions of the programs, by kind. */
  programs: Record<string, string | null>
}
/** JSON. */
declare const BERTH_ASSETS: string

export const readAssets = () => JSON.parse(BERTH_ASSETS) as Assets
