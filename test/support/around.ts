import type { Database } from '../../jobs/store/schema.ts'

/** A database with something around the statements that match: before them, after them, or in their place. */
export function around(
  db: Database,
  matches: RegExp,
  wrap: <Result>(run: () => Promise<Result>) => Promise<Result>,
): Database {
  const executeQuery: Database['executeQuery'] = (query, options) => {
    const run = () => db.executeQuery(query, options)
    return 'sql' in query && matches.test(query.sql) ? wrap(run) : run()
  }
  return new Proxy(db, {
    get(of, name) {
      if (name === 'executeQuery') return executeQuery
      const value: unknown = Reflect.get(of, name, of)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
}
