// What shells are told, which read no JSON: assignments, quoted whole.
import type { Bootstrap } from './bootstrap.ts'

export interface ShellSpec {
  timeout_s: number
  grace_ms: number
  program: { command: readonly string[]; env: Readonly<Record<string, string>>; outputs: readonly string[] }
}

/** For the runner in POSIX sh. What it reads line by line comes first: a value of a variable may have lines that look like it. */
export function shellSpec({ timeout_s, grace_ms, program }: ShellSpec): string {
  const { command, env, outputs } = program
  return [
    '# outputs',
    ...outputs.map((pattern) => `# ${pattern}`),
    '# end',
    `timeout_s=${quoted(String(Math.ceil(timeout_s)))}`,
    `grace_s=${quoted(String(Math.ceil(grace_ms / 1_000)))}`,
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quoted(value)}`),
    `set -- ${command.map(quoted).join(' ')}`,
    '',
  ].join('\n')
}

/** For the program of a machine. */
export function shellBootstrap({ token, image, command, gpus, registry }: Bootstrap): string {
  const values = {
    token,
    image,
    gpus: String(gpus),
    registry_server: registry?.server ?? '',
    registry_username: registry?.username ?? '',
    registry_password: registry?.password ?? '',
  }
  return [
    ...Object.entries(values).map(([name, value]) => `${name}=${quoted(value)}`),
    `set -- ${(command ?? []).map(quoted).join(' ')}`,
    '',
  ].join('\n')
}

/** Nothing within single quotes means anything to a shell but their end. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
