// `npm run migrate`: brings the database to this version and ends. `npm start` does the same first.
import { loadConfig } from './config.ts'
import { migrate, openDatabase } from './db.ts'

const { db, close } = await openDatabase(loadConfig())
await migrate(db)
await close()
console.log('The database is up to date.')
