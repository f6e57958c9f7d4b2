import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import type { Sealer } from '../jobs/deps.ts'

/** AES-256 (NIST FIPS 197). */
const keyBytes = 32
/** The nonce and tag sizes that NIST SP 800-38D recommends for GCM. */
const nonceBytes = 12
const tagBytes = 16
const version = 'v1'

/**
 * Seals with AES-256-GCM under a random nonce: `v1.<key id>.<nonce>.<ciphertext and tag>`, in base64url.
 * The key id tells which key a row needs, so that keys can be rotated: meanwhile another one opens too. A random nonce is safe for 2^32
 * values under one key (SP 800-38D, 8.3).
 */
export function createSealer(key: Buffer, other: Buffer | null = null): Sealer {
  const id = keyIdOf(key)
  const keys = new Map([key, ...(other ? [other] : [])].map((each) => [keyIdOf(each), each]))
  return {
    key_id: id,
    key_ids: [...keys.keys()],
    seal(plain, context) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes })
      cipher.setAAD(boundTo(id, context))
      const box = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return [version, id, nonce.toString('base64url'), box.toString('base64url')].join('.')
    },
    open(sealed, context) {
      const { sealedWith, nonce, box } = parseSealed(sealed)
      const opener = keys.get(sealedWith)
      if (opener === undefined) {
        throw new Error(
          `a stored secret was sealed with key ${sealedWith}, and this server has key ${id}: ` +
            'set BERTH_SECRET_KEY or BERTH_SECRET_KEY_FILE to the key that this database was used with',
        )
      }
      const decipher = createDecipheriv('aes-256-gcm', opener, nonce, { authTagLength: tagBytes })
      decipher.setAAD(boundTo(sealedWith, context))
      decipher.setAuthTag(box.subarray(box.length - tagBytes))
      try {
        const plain = decipher.update(box.subarray(0, box.length - tagBytes))
        return Buffer.concat([plain, decipher.final()]).toString('utf8')
      } catch (cause) {
        throw new Error('a stored secret was changed, or belongs to another row', { cause })
      }
    },
  }
}

/** The sealer of a configuration, with the other key that opens while keys are rotated. */
export function openSealer(config: SecretKeys): Sealer {
  return createSealer(loadSecretKey(config), loadOtherKey(config))
}

interface SecretKeys {
  secret_key: string | null
  secret_key_file: string
  other_secret_key: string | null
  other_secret_key_file: string | null
}

export function loadOtherKey({ other_secret_key, other_secret_key_file: file }: SecretKeys): Buffer | null {
  if (other_secret_key !== null) return decodeKey(other_secret_key, 'BERTH_SECRET_KEY_OTHER')
  return file === null ? null : decodeKey(readPrivateFile(file).trim(), file)
}

/** A key for one purpose alone, by HKDF-SHA-256 (RFC 5869): one purpose's key tells nothing of another's. */
export function deriveKey(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', `berth ${purpose}`, keyBytes))
}

/**
 * The installation's secret key: from the configuration, or from its file, which is made (mode 0600) when
 * it is not there. Of several processes that start at once, one makes it and all read the same.
 * @throws when the file is not 32 bytes in base64 or others than its owner may read it.
 */
export function loadSecretKey(config: { secret_key: string | null; secret_key_file: string }): Buffer {
  if (config.secret_key !== null) return decodeKey(config.secret_key, 'BERTH_SECRET_KEY')
  const file = config.secret_key_file
  createPrivateFile(file, `${randomBytes(keyBytes).toString('base64')}\n`)
  return decodeKey(readPrivateFile(file).trim(), file)
}

/**
 * Writes a new file that only its owner can read. It appears whole or not at all and is never overwritten.
 * @returns false when it is already there.
 */
export function createPrivateFile(path: string, text: string): boolean {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (statSync(path, { throwIfNoEntry: false })) return false
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`
  const file = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
    // A link fails where a rename would overwrite the file that another process has just made.
    linkSync(temporary, path)
    syncFolder(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    closeSync(file)
    rmSync(temporary, { force: true })
  }
}

/** @throws when the group or others may read it. */
export function readPrivateFile(path: string): string {
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) !== 0) {
    throw new Error(
      `${path} holds a secret and others may read it (mode ${mode.toString(8)}): chmod 600 ${path}`,
    )
  }
  return readFileSync(path, 'utf8')
}

function syncFolder(folder: string): void {
  const file = openSync(folder, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function decodeKey(text: string, source: string): Buffer {
  const key = Buffer.from(text, 'base64')
  if (key.length !== keyBytes || key.toString('base64') !== text) {
    throw new Error(
      `${source} must hold ${keyBytes} bytes in base64: make them with \`openssl rand -base64 32\``,
    )
  }
  return key
}

/** Tells keys apart and nothing of the key. */
function keyIdOf(key: Buffer): string {
  if (key.length !== keyBytes) throw new Error(`a secret key has ${keyBytes} bytes, not ${key.length}`)
  return deriveKey(key, 'key-id').subarray(0, 6).toString('base64url')
}

function boundTo(id: string, context: string): Buffer {
  return Buffer.from(`${version}.${id}.${context}`)
}

function parseSealed(sealed: string): { sealedWith: string; nonce: Buffer; box: Buffer } {
  const [found, sealedWith = '', nonceText = '', boxText = ''] = sealed.split('.')
  const nonce = Buffer.from(nonceText, 'base64url')
  const box = Buffer.from(boxText, 'base64url')
  // Written again and compared: base64 has spare bits, and one value must have one text.
  const again = [version, sealedWith, nonce.toString('base64url'), box.toString('base64url')].join('.')
  const whole = found === version && nonce.length === nonceBytes && box.length >= tagBytes
  if (!whole || again !== sealed) throw new Error('a stored secret is not in the format v1')
  return { sealedWith, nonce, box }
}
