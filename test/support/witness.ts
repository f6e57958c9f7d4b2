// What ran, as the programs themselves wrote it down, outside of Berth.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const python = join(import.meta.dirname, '..', '..', '.venv', 'bin', 'python')

/** A Python whose backtest (`fast` of the job is its number and one) works for a while and writes down when it begins and ends. */
export function openWitness() {
  const folder = mkdtempSync(join(tmpdir(), 'berth-witness-'))
  const [file, program, shell] = ['seen', 'program.py', 'python'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(file, '')
  writeFileSync(
    program,
    `import json, os, sys, time
spec, out = sys.argv[-2:]
job = json.load(open(spec))["parameters"]["fast"] - 1
def saw(what):
    seen = os.open(${JSON.stringify(file)}, os.O_WRONLY | os.O_APPEND)
    os.write(seen, f"{what} {job}\\n".encode())
    os.close(seen)
saw("began")
time.sleep(0.2 + (job * 7 % 20) / 10)
with open(os.path.join(out, "result.json"), "w") as result:
    json.dump({"job": job}, result)
saw("ended")
`,
  )
  writeFileSync(
    shell,
    `#!/bin/sh
case " $* " in *" berth_backtest "*) exec "${python}" -S "${program}" "$@" ;; esac
exec "${python}" "$@"
`,
  )
  chmodSync(shell, 0o755)
  return {
    python: shell,
    saw: (what: string) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith(`${what} `))
        .map((line) => Number(line.slice(what.length)))
        .toSorted((a, b) => a - b),
    [Symbol.asyncDispose]() {
      rmSync(folder, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}
