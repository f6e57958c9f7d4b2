// The end of what a container printed, from the engine's own log.

import type { Engine } from './engine.ts'

const tail_bytes = 64 * 1024
/** The log is bound to a megabyte; engines that bind it otherwise are cut here. */
const read_bytes = 4 * 1024 * 1024
/** Each block has the stream (1 byte), three zeros and its length before it. */
const header_bytes = 8

/** @throws ProviderError; '' where there is no such container. */
export async function readTail(engine: Engine, name: string, signal: AbortSignal): Promise<string> {
  const path = `/containers/${name}/logs?stdout=true&stderr=true&tail=2000`
  const call = { method: 'GET', path, max_bytes: read_bytes, cut: true } as const
  const answer = await engine.call(call, signal)
  if (answer.status === 404) return ''
  if (answer.status !== 200) throw engine.refusal(call, answer)
  return textOf(answer.bytes).subarray(-tail_bytes).toString()
}

function textOf(bytes: Buffer): Buffer {
  const blocks: Buffer[] = []
  let at = 0
  while (at + header_bytes <= bytes.length) {
    const length = bytes.readUInt32BE(at + 4)
    blocks.push(bytes.subarray(at + header_bytes, at + header_bytes + length))
    at += header_bytes + length
  }
  return Buffer.concat(blocks)
}
