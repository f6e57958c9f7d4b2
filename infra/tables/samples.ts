import { open, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { TableFile } from '../../jobs/deps.ts'

/** Where the Python environment puts them (infra/python-env.mjs). */
const folder = resolve(import.meta.dirname, '..', '..', 'containers', 'samples')

/** The file of a sample dataset; null: it is not here, as on a server whose jobs all run elsewhere. */
export async function samplePrices(name: string): Promise<TableFile | null> {
  const sample = /^sample:([a-z0-9-]+)$/.exec(name)?.[1]
  if (sample === undefined) return null
  const path = join(folder, `${sample}.parquet`)
  const bytes = await stat(path).then(
    ({ size }) => size,
    () => null,
  )
  if (bytes === null) return null
  return {
    bytes,
    async read(start, end) {
      await using file = await open(path)
      const { buffer, bytesRead } = await file.read(new Uint8Array(end - start), 0, end - start, start)
      return buffer.subarray(0, bytesRead)
    },
  }
}
