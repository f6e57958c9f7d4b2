import { randomBytes } from 'node:crypto'

const pool_bytes = 4_096

/** Random bytes, fetched many at a time: a submit takes some for each of its ids. No byte is given twice. */
export function pooledRandom(): (bytes: number) => Uint8Array {
  let pool = randomBytes(0)
  return (bytes) => {
    if (pool.byteLength < bytes) pool = randomBytes(Math.max(bytes, pool_bytes))
    const taken = new Uint8Array(pool.subarray(0, bytes))
    pool.fill(0, 0, bytes)
    pool = pool.subarray(bytes)
    return taken
  }
}
