// A real S3-compatible server for the tests: s3proxy (Apache-2.0), one jar that Maven brings. Plain JavaScript for
// Node 20, without dependencies.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { checkout, exists, InstallError, runQuietly } from './install.mjs'

const version = '4.1.0'
/** Of the jar: another one is not run. */
const sha256 = 'a4d025969aaf796616ed4b1e2491d87d455ce84bb28cb9db086b2e6aaa68b48d'
const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
/** The release that the jar is compiled for. */
const leastJava = 17
/** 55 MB at 3 Mbit/s; the other tests do not wait longer for it. */
const installMs = 150_000
const askMs = 30_000

/** Where it lies, once `ensureS3Server` has brought it. */
export function s3ServerJar(root = checkout) {
  return join(root, 'node_modules', '.cache', 'berth', `s3proxy-${version}.jar`)
}

/**
 * Brings the jar unless it is there.
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} its path
 * @throws InstallError: what is missing, and that the tests of buckets are skipped
 */
export async function ensureS3Server({ log = console.log, root = checkout, env = process.env } = {}) {
  const jar = s3ServerJar(root)
  await checkJava({ root, env })
  if (exists(jar)) return jar
  log(`Fetching the S3 server of the tests (s3proxy ${version}) ...`)
  const folder = `${jar}.${process.pid}`
  mkdirSync(folder, { recursive: true })
  try {
    const artifact = `org.gaul:s3proxy:${version}:jar:jar-with-dependencies`
    const args = ['-B', '-ntp', '-q', copy, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]
    const { code, output } = await runQuietly('mvn', args, { cwd: root, env, timeout_ms: installMs })
    if (code === 'ENOENT') throw skipped('Maven (mvn) is not installed')
    if (code !== 0) throw skipped(`Maven could not fetch it (${code}):\n${output.trim().slice(-2000)}`)
    const found = join(folder, `s3proxy-${version}-jar-with-dependencies.jar`)
    const seen = createHash('sha256').update(readFileSync(found)).digest('hex')
    if (seen !== sha256) throw skipped(`what Maven fetched has the sha256 ${seen}, not ${sha256}`)
    renameSync(found, jar)
    return jar
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function checkJava({ root, env }) {
  const { code, output } = await runQuietly('java', ['-version'], { cwd: root, env, timeout_ms: askMs })
  const major = Number(/version "(\d+)/.exec(output)?.[1] ?? 0)
  if (code === 0 && major >= leastJava) return
  throw skipped(code === 0 ? `Java is ${major}, not ${leastJava} or newer` : 'Java is not installed')
}

function skipped(why) {
  return new InstallError(`The tests of S3-compatible stores are skipped: ${why}`)
}
