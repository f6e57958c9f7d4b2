// Mistakes that the simulation must find: each is an edit of a copy of the code, and the seed that finds it.
import { passDefects } from './pass-defects.ts'
import { recordDefects } from './record-defects.ts'
import { sweepDefects } from './sweep-defects.ts'

export interface Defect {
  name: string
  file: string
  /** What stands in the file exactly once, and what takes its place. */
  edits: readonly (readonly [string, string])[]
  /** What it breaks. */
  by: RegExp
  /** The seed that finds it soonest; another one may, after a change of the code has moved the histories. */
  seed: number
}

export const defects: readonly Defect[] = [...passDefects, ...recordDefects, ...sweepDefects]
