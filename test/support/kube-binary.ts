import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const env = resolve(import.meta.dirname, '../../infra/kube-env.mjs')
export const { kubeBinary } = (await import(env)) as { kubeBinary: () => string }

/** Why there is no Kubernetes API; null: there is one. */
export const noKube = existsSync(kubeBinary())
  ? null
  : 'the Kubernetes API is not built: `npm run test:kube` builds it where Go is, and says why it could not'
