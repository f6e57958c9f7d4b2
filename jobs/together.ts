// Rows that many requests ask for at once, read by one statement for all of them: the way to the database and back costs more than the rows.
import type { Deps } from './deps.ts'
import { createGroup, type Grouped } from './group.ts'
import type { Database } from './store/schema.ts'

/** In one statement: some milliseconds. More would make the first wait for the last. */
const mostRows = 500
/** What a whole job weighs: its spec and its result may be a mebibyte each, so that few are read at once. */
export const wholeJob = 20

/**
 * `read` answers what was asked for in its order. What comes while it reads goes together in the next statement, so that nobody is
 * answered by what was there before they asked. `weigh`: the rows of one call, 1 where it is left out.
 */
export function readTogether<Asked, Found>(
  read: (db: Database, asked: readonly Asked[]) => Promise<readonly Found[]>,
  weigh: (asked: Asked) => number = () => 1,
): (deps: Pick<Deps, 'db' | 'clock' | 'gather'>, asked: Asked) => Promise<Found> {
  const groups = new WeakMap<Database, Grouped<Asked, Found>>()
  return ({ db, clock, gather }, asked) => {
    const known = groups.get(db)
    if (known) return known(asked)
    const group = createGroup<Asked, Found>({
      name: 'reads',
      clock,
      gather,
      weigh: (each) => Math.max(1, weigh(each)),
      most_weight: mostRows,
      run: async (all) => (await read(db, all)).map((value) => ({ value })),
    })
    groups.set(db, group)
    return group(asked)
  }
}

/** What is asked for by its id, and answered only to its own project. */
export interface Own {
  project_id: string
  id: string
}
export const keyOf = ({ project_id, id }: Own): string => `${project_id}/${id}`

/** The columns of what is asked for, each once. */
export function pairs(asked: readonly Own[]): { projects: string[]; ids: string[] } {
  const each = [...new Map(asked.map((one) => [keyOf(one), one])).values()]
  return { projects: each.map(({ project_id }) => project_id), ids: each.map(({ id }) => id) }
}
