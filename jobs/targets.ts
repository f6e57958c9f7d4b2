// Addresses that a spec names, checked before it is stored.
import { AppError } from './errors.ts'
import { benchmarkFile } from './kinds/backtest.ts'
import type { JobSpec } from './spec.ts'

/** Refuses a webhook address that must not be called. Throws AppError invalid_request. */
export function checkTargets(spec: JobSpec, check_target: (url: string) => string | null): void {
  const reason = spec.webhook && check_target(spec.webhook.url)
  if (reason) refuse('webhook.url', reason)
}

/** `file://` data is read from this machine's disk: only from folders that its operator has named. */
export function checkFileUrls(spec: JobSpec, local_data_dirs: readonly string[]): void {
  for (const { url, path } of filesOf(spec)) {
    if (url.startsWith('s3:')) refuse(path, 's3:// is not available in this version: use https://')
    if (!url.startsWith('file:')) continue
    if (local_data_dirs.length === 0)
      refuse(path, 'file:// is refused: name its folder in BERTH_LOCAL_DATA_DIRS, or use https://')
    const { host, pathname } = new URL(url)
    // An escaped slash can hide a step out of the folder, which shows only when it is decoded.
    const file = decoded(pathname)
    const isHidden = file === null || file.split('/').some((part) => part === '..' || part === '.')
    if (host !== '' || isHidden || !local_data_dirs.some((folder) => file.startsWith(`${folder}/`)))
      refuse(path, 'does not lie in a folder of BERTH_LOCAL_DATA_DIRS')
  }
}

/** The files that a spec names, each with its place in it. */
function filesOf(spec: JobSpec): { url: string; path: string }[] {
  if (spec.kind === 'custom') return []
  const prices = (spec.params.data?.files ?? []).map(({ url }, index) => ({
    url,
    path: `params.data.files.${index}.url`,
  }))
  if (spec.kind === 'training') {
    const { table } = spec.params
    return table ? [...prices, { url: table.url, path: 'params.table.url' }] : prices
  }
  const { signals, predictions } = spec.params.strategy
  const benchmark = benchmarkFile(spec.params)
  return [
    ...prices,
    ...(signals ? [{ url: signals.url, path: 'params.strategy.signals.url' }] : []),
    ...(predictions ? [{ url: predictions.url, path: 'params.strategy.predictions.url' }] : []),
    ...(benchmark ? [{ url: benchmark.url, path: 'params.benchmark.url' }] : []),
  ]
}

function decoded(pathname: string): string | null {
  try {
    return decodeURIComponent(pathname)
  } catch {
    return null
  }
}

function refuse(path: string, message: string): never {
  throw new AppError('invalid_request', `${path} ${message}`, { errors: [{ path, message }] })
}
