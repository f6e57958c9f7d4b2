// The program that a machine runs at its first start: boot.sh with what is the attempt's own before it.
import { readFileSync } from 'node:fs'
import type { LaunchRequest, LaunchSecrets } from '../provider.ts'
import { failure } from './errors.ts'
import type { AlibabaProviderOptions } from './options.ts'

/**
 * The SDK sends every parameter in the address: base64 and percent-encoding make 12 KB of this, and gateways take addresses of 16 KB
 * or so. ECS itself takes 32 KB.
 */
export const userData_most_bytes = 8 * 1024

/** Nobody's on any common image, as on Kubernetes. */
const nobody = 65_532

/**
 * Whoever works on the machine, or may describe it, can read this. So it holds nothing but a token that is good for one exchange: the
 * attempt's own token, the image and the credentials of its registry are what Berth gives for it.
 */
export function userDataOf(
  { berth_url, attempt_id }: Pick<LaunchRequest, 'berth_url' | 'attempt_id'>,
  { bootstrap }: Pick<LaunchSecrets, 'bootstrap'>,
  {
    region,
    ram_role,
    run_as_user = nobody,
  }: Pick<AlibabaProviderOptions, 'region' | 'ram_role' | 'run_as_user'>,
  program: string,
): string {
  if (!bootstrap) throw failure('rejected', 'the launch came without a token for the machine')
  const own = {
    berth_url,
    attempt: attempt_id,
    bootstrap,
    region,
    role: ram_role ?? '',
    user: run_as_user === null ? '' : String(run_as_user),
  }
  const lines = Object.entries(own).map(([name, value]) => `${name}=${quoted(value)}`)
  const text = `#!/bin/bash\n${lines.join('\n')}\n${program}`
  const bytes = Buffer.from(text)
  if (bytes.length > userData_most_bytes)
    throw failure('rejected', `UserData has ${bytes.length} bytes, at most ${userData_most_bytes}`)
  return bytes.toString('base64')
}

/** Nothing within single quotes means anything to a shell but their end. */
const quoted = (value: string): string => `'${value.replaceAll("'", String.raw`'\''`)}'`

/** Without its comments and empty lines, which nobody reads there. */
export function readProgram(): string {
  const text = readFileSync(new URL('./boot.sh', import.meta.url), 'utf8')
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  return `${lines.join('\n')}\n`
}
