// The spec of a custom job for the runner in POSIX sh, which reads no JSON: assignments, quoted whole.

export interface ShellSpec {
  timeout_s: number
  grace_ms: number
  program: { command: readonly string[]; env: Readonly<Record<string, string>>; outputs: readonly string[] }
}

/** What the runner reads line by line comes first: a value of a variable may have lines that look like it. */
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

/** Nothing within single quotes means anything to a shell but their end. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
