// The runners as containers of custom jobs fetch them: the one in Python as a zip application, the other as it is.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crc32 } from 'node:zlib'
import type { RunnerFiles } from '../jobs/deps.ts'

const folder = fileURLToPath(new URL('../containers/runner', import.meta.url))

export function readRunnerFiles(): RunnerFiles {
  const names = readdirSync(join(folder, 'berth_runner')).filter((name) => name.endsWith('.py'))
  const modules = names.toSorted().map((name) => {
    const path = join('berth_runner', name)
    return { path, bytes: readFileSync(join(folder, path)) }
  })
  const main = Buffer.from('import sys\n\nfrom berth_runner.main import main\n\nsys.exit(main())\n')
  return {
    'runner.pyz': zip([{ path: '__main__.py', bytes: main }, ...modules]),
    'runner.sh': readFileSync(join(folder, 'runner.sh')),
  }
}

/** A zip file of stored entries, the same for the same files. https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
function zip(files: readonly { path: string; bytes: Buffer }[]): Buffer<ArrayBuffer> {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { path, bytes } of files) {
    const name = Buffer.from(path)
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0) // version that is needed
    common.writeUInt16LE(0x21, 8) // 1980-01-01, the earliest date
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(bytes.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(name.length, 22)
    const place = Buffer.alloc(14)
    place.writeUInt32LE(offset, 10)
    central.push(Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, place, name)
    local.push(Buffer.from('PK\x03\x04', 'latin1'), common, name, bytes)
    offset += 4 + common.length + name.length + bytes.length
  }
  const size = central.reduce((sum, each) => sum + each.length, 0)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(files.length, 4)
  end.writeUInt16LE(files.length, 6)
  end.writeUInt32LE(size, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...local, ...central, Buffer.from('PK\x05\x06', 'latin1'), end])
}
