// Seeded draws: the only source of chance in a simulation.
import { createHash } from 'node:crypto'

export interface Draw {
  /** 0 <= x < 1 */
  share: () => number
  chance: (probability: number) => boolean
  /** A whole number, both ends included. */
  between: (from: number, to: number) => number
  pick: <Item>(items: readonly Item[]) => Item
  bytes: (count: number) => Uint8Array
  /** An independent stream: draws from it do not move this one. */
  fork: (name: string) => Draw
}

/** sfc32 by Chris Doty-Humphrey (PractRand), seeded by SHA-256 of a text. */
export function createDraw(seed: string): Draw {
  const digest = createHash('sha256').update(seed).digest()
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => digest.readInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  const share = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return (sum >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number) => from + Math.floor(share() * (to - from + 1))
  return {
    share,
    chance: (probability) => share() < probability,
    between,
    pick: (items) => {
      const item = items[between(0, items.length - 1)]
      if (item === undefined) throw new Error('nothing to pick from')
      return item
    },
    bytes: (count) => Uint8Array.from({ length: count }, () => between(0, 255)),
    fork: (name) => createDraw(`${seed}/${name}`),
  }
}
