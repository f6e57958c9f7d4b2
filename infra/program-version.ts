// The versions of the programs of this checkout, by content: equal specs have equal results as long as nothing of it
// has changed. A server that runs goes by what was there when it started.
import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const containers = resolve(import.meta.dirname, '..', 'containers')
/** What a program is made of: its own files, the libraries and the sample prices. */
const parts: Record<string, readonly string[]> = {
  backtest: ['backtest/berth_backtest/**/*.{py,css,js}', 'requirements.lock', 'requirements-samples.lock'],
  // Features are the backtest's indicators.
  training: [
    'training/berth_training/**/*.py',
    'backtest/berth_backtest/**/*.{py,css,js}',
    'requirements-training.lock',
    'requirements-samples.lock',
  ],
}

/**
 * By kind, of the program here and the image that runs elsewhere. null: nobody can tell, for the program is not here,
 * or the image is named by a tag, which may come to name another.
 */
export function programVersions(
  images: Readonly<Record<string, string | null>>,
  folder = containers,
): (kind: string) => string | null {
  return versionsWith(programs(folder), images)
}

/** The same of programs whose versions are known. */
export function versionsWith(
  known: Readonly<Record<string, string | null>>,
  images: Readonly<Record<string, string | null>>,
): (kind: string) => string | null {
  const versions = new Map(
    Object.entries(known).map(([kind, version]) => {
      const image = images[kind] ?? null
      if (image === null) return [kind, version]
      return [kind, image.includes('@sha256:') ? `${version} ${image}` : null]
    }),
  )
  return (kind) => versions.get(kind) ?? null
}

/** The versions of the programs in a folder, by kind; null: it is not there. */
export function programs(folder = containers): Record<string, string | null> {
  return Object.fromEntries(
    Object.entries(parts).map(([kind, patterns]) => [kind, versionOf(folder, patterns)]),
  )
}

function versionOf(folder: string, patterns: readonly string[]): string | null {
  if (!existsSync(folder)) return null
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: folder })).toSorted()
  if (!files.some((file) => file.endsWith('.py'))) return null
  const hash = createHash('sha256')
  for (const file of files) {
    const content = readFileSync(join(folder, file))
    hash.update(`${file} ${content.length}\n`).update(content)
  }
  return hash.digest('hex')
}
