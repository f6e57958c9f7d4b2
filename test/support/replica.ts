// One of several servers on one PostgreSQL, as a process of its own, with accounts that another process keeps. Run by
// itself this file is that process: what `npm start` runs, given the accounts besides.
import { keepCompiled } from '../../cli/compile-cache.ts'
import { freePort, type RunningServer, startServer } from './server.ts'

export interface ReplicaOptions {
  database_url: string
  /** Shared by all replicas: the object store and the keys lie in it. */
  data_dir: string
  /** Where serveClouds() listens. */
  clouds_url: string
  env?: Record<string, string>
}

/** Starts one and waits until it answers. */
export async function startReplica(options: ReplicaOptions): Promise<RunningServer> {
  const { database_url, data_dir, clouds_url, env } = options
  return startServer(
    data_dir,
    await freePort(),
    {
      BERTH_DATABASE_URL: database_url,
      CLOUDS_URL: clouds_url,
      BERTH_LOG_LEVEL: 'error',
      ...env,
    },
    import.meta.filename,
  )
}

if (import.meta.main) {
  keepCompiled()
  const [{ main }, { loadConfig }, { connectClouds }] = await Promise.all([
    import('../../infra/serve.ts'),
    import('../../infra/config.ts'),
    import('./cloud-wire.ts'),
  ])
  try {
    await main(loadConfig(), await connectClouds(process.env['CLOUDS_URL'] ?? ''))
    process.exit(0)
  } catch (error) {
    console.error(error)
    process.exit(1)
  }
}
