// A machine for boot.sh: a folder as its root, programs that do as the test says, and curl itself, whose requests to the metadata service
// and to ECS go to servers of the test.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why it cannot be tried here; null: it can. */
export const noMachine: string | null =
  ['/usr/bin/curl', '/usr/bin/openssl', '/bin/bash'].find((path) => !existsSync(path)) ?? null

const curl = '/usr/bin/curl'

/** What programs are asked for is written down in `calls`, one a line; a file `fails/NAME` lets one fail with that text. */
const programs: Readonly<Record<string, string>> = {
  docker: `case "$1" in
  login) cat >"$FAKES/password" ;;
  run) for each; do [ "$last" != --env-file ] || cp "$each" "$FAKES/env"; last=$each; done ;;
  inspect)
    case "$*" in
      *Running*) ls "$BERTH_ROOT/run/berth" >"$FAKES/left"
        n=$(cat "$FAKES/looks"); echo $((n - 1)) >"$FAKES/looks"
        if [ "$n" -gt 0 ] && [ ! -e "$FAKES/stopped" ]; then echo true; else echo false; fi ;;
      *) cat "$FAKES/ended" ;;
    esac ;;
  stop) : >"$FAKES/stopped" ;;
esac`,
  iptables: ':',
  'nvidia-smi': 'echo "GPU 0: NVIDIA A10"',
  shutdown: ':',
  sleep: ':',
  chown: ':',
}

export interface Machine {
  /** The program fails with this text from now on; a word of its own picks a call: `docker-pull`. */
  fail: (program: string, text: string) => void
  /** How the container ends, after some looks: exit code, and whether for want of memory. */
  ends: (code: number, oom?: boolean) => void
  /** What the metadata service says, by path below meta-data/. */
  metadata: Map<string, string>
  /** Tokens that the metadata service was asked for, and requests without one, which it refuses. */
  refused: () => number
  /** Runs a program as cloud-init does. */
  boot: (user_data: string) => Promise<{ code: number | null; output: string }>
  calls: () => string[]
  /** `left`: what lies in its working folder while the container runs. */
  read: (name: 'env' | 'password' | 'left') => string | null
  /** Everything that is on its disk afterwards. */
  root: string
  close: () => Promise<void>
}

export async function openMachine(ecs_url: string, region: string): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-machine-'))
  const [root, fakes, bin] = ['root', 'fakes', 'bin'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const each of [root, fakes, join(fakes, 'fails'), bin, join(root, 'dev')]) mkdirSync(each)
  writeFileSync(join(fakes, 'calls'), '')
  writeFileSync(join(fakes, 'looks'), '2')
  const metadata = new Map<string, string>()
  let refused = 0
  // https://help.aliyun.com/document_detail/150575.html: in hardened mode only with a token, which PUT gives.
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path === '/latest/api/token' && request.method === 'PUT')
      return void response.end(
        request.headers['x-aliyun-ecs-metadata-token-ttl-seconds'] ? 'a-token-of-it' : '',
      )
    if (request.headers['x-aliyun-ecs-metadata-token'] !== 'a-token-of-it') {
      refused++
      return void response.writeHead(403).end()
    }
    const found = metadata.get(path.replace('/latest/meta-data/', ''))
    response.writeHead(found === undefined ? 404 : 200).end(found ?? 'Not Found')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const host = `ecs.${region}.aliyuncs.com`
  const rewritten = `args=()
for each; do
  each=\${each/http:\\/\\/100.100.100.200/http:\\/\\/127.0.0.1:${port}}
  args+=("\${each/https:\\/\\/${host}/${ecs_url.replaceAll('/', String.raw`\/`)}}")
done
exec ${curl} "\${args[@]}"`
  // A line is written at once: what runs in the background writes beside the others.
  const noted = (name: string, text: string) => `#!/bin/bash
printf '%s\\n' "$(printf '%q ' ${name} "$@")" >>"$FAKES/calls"
for file in "$FAKES/fails/${name}" "$FAKES/fails/${name}-$1"; do [ ! -e "$file" ] || { cat "$file" >&2; exit 1; }; done
${text}
`
  for (const [name, text] of [...Object.entries(programs), ['curl', rewritten] as const]) {
    writeFileSync(join(bin, name), noted(name, text))
    chmodSync(join(bin, name), 0o755)
  }
  const read = (name: string) =>
    existsSync(join(fakes, name)) ? readFileSync(join(fakes, name), 'utf8') : null
  return {
    fail: (program, text) => writeFileSync(join(fakes, 'fails', program), text),
    ends: (code, oom = false) => writeFileSync(join(fakes, 'ended'), `${code} ${oom}\n`),
    metadata,
    refused: () => refused,
    async boot(user_data) {
      writeFileSync(join(folder, 'user-data'), user_data)
      const env = { PATH: `${bin}:/usr/bin:/bin`, FAKES: fakes, BERTH_ROOT: root, LC_ALL: 'C.UTF-8' }
      const child = spawn('/bin/bash', [join(folder, 'user-data')], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (output += text))
      const [code] = (await once(child, 'close')) as [number | null]
      return { code, output }
    },
    calls: () => (read('calls') ?? '').split('\n').map((line) => line.trim()),
    read,
    root,
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
