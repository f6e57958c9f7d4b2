import { randomBytes } from 'node:crypto'
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  createPrivateFile,
  createSealer,
  deriveKey,
  loadSecretKey,
  readPrivateFile,
} from '../../infra/secrets.ts'
import { newFolder } from './new-folder.ts'

describe('sealer', () => {
  const key = randomBytes(32)
  const sealer = createSealer(key)

  test.each(['', 'whsec_abc', 'x'.repeat(100_000), 'naïve 漢字 🚢\u0000'])(
    'opens what it sealed',
    (plain) => {
      expect(sealer.open(sealer.seal(plain, 'webhooks/1'), 'webhooks/1')).toBe(plain)
    },
  )

  test('the same text is never sealed twice alike, and the text is not to be seen', () => {
    const sealed = Array.from({ length: 50 }, () => sealer.seal('whsec_abc', 'w'))
    expect(new Set(sealed).size).toBe(50)
    expect(sealed[0]).toMatch(/^v1\.[\w-]{8}\.[\w-]{16}\.[\w-]+$/)
    expect(sealed.join()).not.toContain('whsec')
  })

  test('a value moved to another row does not open', () => {
    expect(() => sealer.open(sealer.seal('a', 'webhooks/1'), 'webhooks/2')).toThrow('another row')
  })

  test('another key is named by its id and what to do', () => {
    const other = createSealer(randomBytes(32))
    expect(() => sealer.open(other.seal('a', 'w'), 'w')).toThrow(/sealed with key .* BERTH_SECRET_KEY/)
  })

  test('no changed character opens', () => {
    const sealed = sealer.seal('secret', 'w')
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice(0, i) + (sealed[i] === 'A' ? 'B' : 'A') + sealed.slice(i + 1)
      expect(() => sealer.open(changed, 'w'), changed).toThrow('a stored secret')
    }
  })

  test.each(['', 'v1', 'v1.a.b.c', 'v2.aaaaaaaa.bbbbbbbbbbbbbbbb.cccc', 'plain text'])(
    'what is no sealed value is refused: %j',
    (text) => {
      expect(() => sealer.open(text, 'w')).toThrow('not in the format')
    },
  )

  test('a key of another size is refused', () => {
    expect(() => createSealer(randomBytes(16))).toThrow('32 bytes')
  })
})

test('a derived key is stable, and another for each purpose and key', () => {
  // RFC 5869 with SHA-256, no salt, info "berth runner-token": computed by Python's hmac and hashlib.
  const derived = deriveKey(Buffer.alloc(32, 1), 'runner-token')
  expect(derived.toString('hex')).toBe('6af6ca86d721779b8b74dfdc002f35debe96bf76a388d2ff259aadcac9ef465e')
  expect(deriveKey(Buffer.alloc(32, 1), 'other')).not.toEqual(derived)
  expect(deriveKey(Buffer.alloc(32, 2), 'runner-token')).not.toEqual(derived)
})

describe('secret key', () => {
  test('comes from the configuration when it is there', () => {
    const key = randomBytes(32)
    const config = { secret_key: key.toString('base64'), secret_key_file: '/nowhere/at/all' }
    expect(loadSecretKey(config)).toEqual(key)
  })

  test('is made at the first start, for its owner only, and is the same ever after', async () => {
    const folder = newFolder()
    const config = { secret_key: null, secret_key_file: join(folder, 'data', 'secret.key') }
    const key = loadSecretKey(config)
    expect(key).toHaveLength(32)
    expect((await stat(config.secret_key_file)).mode & 0o777).toBe(0o600)
    expect(loadSecretKey(config)).toEqual(key)
    expect(await readdir(join(folder, 'data'))).toEqual(['secret.key'])
  })

  test('that others may read is refused with what to do', async () => {
    const secret_key_file = join(newFolder(), 'secret.key')
    loadSecretKey({ secret_key: null, secret_key_file })
    for (const mode of [0o640, 0o604, 0o660]) {
      await chmod(secret_key_file, mode)
      expect(() => loadSecretKey({ secret_key: null, secret_key_file })).toThrow(
        `chmod 600 ${secret_key_file}`,
      )
    }
  })

  test.each(['', 'hunter2', Buffer.alloc(31).toString('base64')])(
    'that is broken is refused by its file and never replaced: %j',
    async (text) => {
      const secret_key_file = join(newFolder(), 'secret.key')
      await writeFile(secret_key_file, text, { mode: 0o600 })
      const message = () => loadSecretKey({ secret_key: null, secret_key_file })
      expect(message).toThrow(secret_key_file)
      expect(message).not.toThrow('hunter2')
      expect(await readFile(secret_key_file, 'utf8')).toBe(text)
    },
  )
})

test('a private file is written once and read back', async () => {
  const path = join(newFolder(), 'admin.key')
  expect(createPrivateFile(path, 'one\n')).toBe(true)
  expect(createPrivateFile(path, 'two\n')).toBe(false)
  expect(readPrivateFile(path)).toBe('one\n')
})
