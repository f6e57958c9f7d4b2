// Sends a file of prices in parts; what was sent before is not sent again.
import type { Api } from './client.ts'
import { ProblemError } from './problem.ts'
import type { Dataset } from './types.ts'

/** A browser hashes a file at once, in memory. */
export const maxUpload_bytes = 1024 ** 3

export type UploadStep = { what: 'hashing' } | { what: 'sending'; share: number } | { what: 'checking' }

interface Wanted {
  file: File
  adjustment: 'none' | 'split' | 'total'
}

export async function uploadDataset(
  api: Api,
  { file, adjustment }: Wanted,
  tell: (step: UploadStep) => void,
): Promise<Dataset> {
  tell({ what: 'hashing' })
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()))
  const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const dataset = await json<Dataset>(api, '/v1/datasets', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
      name: file.name.replace(/\.(parquet|csv)$/i, '').slice(0, 200) || 'prices',
      format: /\.csv$/i.test(file.name) ? 'csv' : 'parquet',
      bytes: file.size,
      sha256,
      adjustment,
    }),
  })
  if (dataset.state === 'ready' || dataset.upload === null || dataset.upload === undefined) return dataset
  const { part_bytes, parts, received } = dataset.upload
  const known = new Set(received)
  for (let number = 0; number < parts; number++) {
    tell({ what: 'sending', share: number / parts })
    if (known.has(number)) continue
    const body = file.slice(number * part_bytes, (number + 1) * part_bytes)
    await api.send(`/v1/datasets/${dataset.id}/parts/${number}`, {
      method: 'PUT',
      headers: { 'Content-Type': 'application/octet-stream' },
      body,
    })
  }
  tell({ what: 'checking' })
  const done = await json<Dataset>(api, `/v1/datasets/${dataset.id}/complete`, { method: 'POST' })
  if (done.state !== 'ready')
    throw new ProblemError(`The dataset is ${done.state}.`, { code: 'dataset', status: 0 })
  return done
}

const json = async <Body>(api: Api, path: string, init: RequestInit) =>
  (await (await api.send(path, init)).json()) as Body
