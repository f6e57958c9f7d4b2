// The params of kind `custom`: any image and command. The format is in docs/contracts.md §5.
import { z } from 'zod'
import type { LaunchRequest } from '../../providers/provider.ts'
import { canonicalSha256 } from '../canonical.ts'
import { imageFamily, pulledImage } from './image.ts'

/** Of secrets and variables; a secret is a variable of its name. */
export const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/, 'must be letters, digits and _, at most 64, no digit first')

const maxArguments = 256
const maxVariables = 200
/** Linux takes no longer argument or variable. */
const maxText = 128 * 1024 - 1
/** All of them are in the spec, which every list of jobs reads. */
const maxEnvironment = 256 * 1024

const text = z.string().max(maxText)
const glob = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[A-Za-z0-9._*?[\]/-]+$/, 'must be of A-Z a-z 0-9 . _ - / * ? [ ]')
  .refine(
    (value) => !value.startsWith('/') && !value.split('/').includes('..'),
    'must stay within the work folder',
  )

export const customParams = z
  .strictObject({
    image: z
      .string()
      .max(255)
      .regex(
        /^[a-z0-9]+([._:-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w.-]{1,128})?(@sha256:[0-9a-f]{64})?$/,
        'must be an image like "ghcr.io/desk/model:1" or "...@sha256:<64 hex digits>"',
      ),
    command: z
      .array(text)
      .min(1, 'must name what to run: a runner takes the place of the image’s own entry')
      .max(maxArguments),
    env: z
      .record(z.string().max(64), text)
      .refine((env) => Object.keys(env).length <= maxVariables, `at most ${maxVariables} variables`)
      .default({}),
    secrets: z.array(variable).max(50).default([]).meta({ description: 'Each is a variable of its name.' }),
    registry: variable
      .nullable()
      .default(null)
      .meta({ description: 'A secret of type registry, for an image that is not given to everyone.' }),
    outputs: z
      .array(glob)
      .max(100)
      .default([])
      .meta({ description: 'Files of the work folder that are kept: * and ? match / too.' }),
  })
  .superRefine(({ env, secrets, command }, context) => {
    const problem = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    for (const name of Object.keys(env)) {
      const { error } = variable.safeParse(name)
      if (error) problem(['env', name], error.issues[0]?.message ?? '')
      if (isReserved(name))
        problem(['env', name], 'is reserved: names that begin with BERTH_ are the runner’s')
    }
    secrets.forEach((name, index) => {
      if (isReserved(name)) problem(['secrets', index], 'is reserved: BERTH_ is the runner’s')
      if (name in env) problem(['secrets', index], `is in env too`)
      if (secrets.indexOf(name) !== index) problem(['secrets', index], 'is named twice')
    })
    const size = [...command, ...Object.values(env)].reduce((sum, each) => sum + each.length, 0)
    if (size > maxEnvironment)
      problem(['env'], `command and env have ${size} characters: at most ${maxEnvironment}`)
  })
  .meta({ id: 'CustomParams', description: 'Any image and command.' })
export type CustomParams = z.output<typeof customParams>

const isReserved = (name: string) => name.toUpperCase().startsWith('BERTH_')

/** What a launch of the job starts: its image, with the runner that fetches itself in place of the image's entry. */
export function launchImage({
  image,
}: Pick<CustomParams, 'image'>): Pick<LaunchRequest, 'image' | 'command'> {
  return { image: pulledImage(image), command: ['sh', '-c', bootstrap] }
}

/**
 * For any image with a shell and one of python3, wget and curl. The runner in Python where that is new enough, else
 * the one for POSIX shells; both are served at /v1/runner.
 */
const bootstrap = `set -u
folder=\${BERTH_HOME:-\${TMPDIR:-/tmp}/berth}
mkdir -p "$folder" && cd "$folder" || exit 70
python=0
python3 -c 'import sys, fcntl, ctypes; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=1
fetch() {
  if [ $python = 1 ]; then
    python3 -c 'import sys, urllib.request as u; open(sys.argv[2], "wb").write(u.urlopen(sys.argv[1], timeout=30).read())' "$1" "$2"
  elif command -v curl >/dev/null 2>&1; then curl -fsS -m 30 -o "$2" "$1"
  elif command -v timeout >/dev/null 2>&1; then timeout 30 wget -q -O "$2" "$1"
  else wget -q -O "$2" "$1"; fi
}
if [ $python = 1 ]; then name=runner.pyz; else name=runner.sh; fi
tries=0
until fetch "$BERTH_URL/v1/runner/$name" "$name"; do
  tries=$((tries + 1))
  [ $tries -ge 60 ] && { echo "berth: the runner cannot be fetched from $BERTH_URL" >&2; exit 70; }
  sleep 2
done
if [ $python = 1 ]; then exec python3 -s -S "$name"; else exec sh "$name"; fi`

/** Equal for work whose durations foretell each other: the same program; what it is told in variables may differ. */
export function customSignature({ image, command }: CustomParams): string {
  return canonicalSha256({ kind: 'custom', image: imageFamily(image), command }).slice(0, 16)
}
