// `berth projects`: which there are, and in which one this machine's commands ask.
import type { Command } from 'commander'
import { answered, createClient } from './client.ts'
import { action, type Context, printJson, subcommand } from './command.ts'
import { findKey, serverUrl } from './connection.ts'
import { readCredential, writeCredential } from './credentials.ts'
import { CliError, type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { oneLine, table, write } from './text.ts'

const help = `
Who has logged in may belong to several projects; a key has its own. BERTH_PROJECT, an id, goes before what "use" keeps.
`

export function addProjects(program: Command, context: Context): void {
  const { io } = context
  const projects = program.command('projects').description('the projects that you belong to')
  subcommand(projects, 'list', 'which there are; * is the one that commands ask in')
    .addHelpText('after', help)
    .action(action(context, ({ json }: { json?: true }) => list(io, json)))
  subcommand(projects, 'use <project>', 'ask in this one from now on, by its id or its name')
    .addHelpText('after', help)
    .action(action(context, (project: string, { json }: { json?: true }) => use(io, project, json)))
}

async function list(io: Io, json?: true): Promise<ExitCode> {
  const { projects, chosen } = await readProjects(io)
  if (json) await printJson(io, { items: projects, project_id: chosen })
  else {
    const rows = projects.map(({ id, name, role }) => [id === chosen ? '*' : '', id, name, role])
    await write(io.stdout, table(['', 'ID', 'NAME', 'ROLE'], rows))
  }
  return exits.ok
}

async function use(io: Io, wanted: string, json?: true): Promise<ExitCode> {
  const url = serverUrl(io)
  const credential = readCredential(io, url)
  if (io.env['BERTH_API_KEY']?.trim() || credential?.as !== 'session')
    throw usageError('a key has a project of its own: "berth login" by address and password first')
  const { projects } = await readProjects(io)
  const named = projects.filter(({ id, name }) => id === wanted || name === wanted)
  const [project] = named
  if (!project)
    throw new CliError(exits.not_found, {
      code: 'not_found',
      message: oneLine(`You belong to no project ${wanted}: "berth projects list" shows those that you do.`),
    })
  if (named.length > 1) throw usageError(`${named.length} projects have this name: give the id`)
  writeCredential(io, url, { ...credential, project: project.id })
  if (json) await printJson(io, project)
  else
    await write(
      io.stdout,
      oneLine(`Commands ask in ${project.name} (${project.id}), as ${project.role}.`) + '\n',
    )
  if (!json && io.env['BERTH_PROJECT']?.trim())
    await write(io.stderr, 'BERTH_PROJECT is set and goes before it: unset it.\n')
  return exits.ok
}

async function readProjects(io: Io) {
  const url = serverUrl(io)
  const found = findKey(io, url)
  if ('missing' in found) throw new CliError(exits.unauthorized, { code: 'no_key', message: found.missing })
  // Asked in none: one that is gone must not keep another from being chosen.
  const me = await answered(createClient(io, { url, key: found.key }).v1.me.$get())
  const own = me.project?.id ?? null
  return { projects: me.projects, chosen: me.by === 'key' ? own : (found.project ?? own) }
}
