// What is read of an uploaded file to say what is in it, whatever the file says of itself.
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { describeTable } from '../../infra/describe-table.ts'

/** A file of many bytes that ends as told; counts what is read of it. */
function endingWith(end: Buffer, bytes: number) {
  const asked: number[] = []
  const read = (start: number, to: number) => {
    asked.push(to - start)
    const part = Buffer.alloc(to - start)
    end.copy(part, Math.max(0, bytes - end.length - start), Math.max(0, start - (bytes - end.length)))
    return Promise.resolve(part)
  }
  return { file: { bytes, read }, read: () => asked.reduce((all, each) => all + each, 0) }
}

const footer = (says: number) => {
  const end = Buffer.from('____PAR1')
  end.writeUInt32LE(says)
  return end
}

test('a footer that says it has gigabytes is not read', async () => {
  const { file, read } = endingWith(footer(2 ** 31), 64 * 1024 ** 3)
  expect(await describeTable('parquet', file)).toEqual({
    fault: 'its footer has 2147483648 bytes, at most 8388608 are read',
  })
  expect(read()).toBe(8)
})

test('packed files are told from Parquet and CSV, and nothing is unpacked', async () => {
  const packed = gzipSync(Buffer.alloc(64 * 1024 ** 2))
  const zip = Buffer.concat([Buffer.from('PK\x03\x04\x14\0\0\0\x08\0', 'latin1'), packed])
  for (const bytes of [packed, zip]) {
    const { file, read } = endingWith(bytes, bytes.length)
    expect(await describeTable('parquet', file)).toEqual({ fault: expect.any(String) as string })
    const told = await describeTable('csv', file)
    expect('fault' in told || !told.columns.includes('date')).toBe(true)
    expect(read()).toBeLessThan(3 * bytes.length)
  }
  expect(await describeTable('parquet', { bytes: 3, read: () => Promise.reject(new Error('read')) })).toEqual(
    {
      fault: 'it is too short to be a Parquet file',
    },
  )
})
