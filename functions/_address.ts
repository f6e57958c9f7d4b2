// Where a request comes from: by its socket, and by what a proxy says that is trusted to.
import type { Context } from 'hono'
import type { Env } from './_env.ts'

/** What a proxy on this machine adds for whom it speaks; without one of them its requests are its own. */
const forwarded = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/**
 * The client's address; null: the runtime has no sockets. Each proxy adds to `X-Forwarded-For` whom it heard, so that the last one who is
 * no proxy of ours is the client; what stands before was said by the client.
 */
export function addressOf(c: Context<Env>, isProxy: (address: string) => boolean): string | null {
  const peer = peerOf(c)
  if (peer === null || !isProxy(peer)) return peer
  const heard = (c.req.header('x-forwarded-for') ?? '').split(',').map((each) => plain(each.trim()))
  return heard.findLast((each) => isAddress(each) && !isProxy(each)) ?? peer
}

/** Whether a request comes from this machine and for nobody else. Where the runtime has no sockets nobody is. */
export function isFromHere(c: Context<Env>): boolean {
  const address = peerOf(c) ?? ''
  const isLoopback = address === '::1' || address.startsWith('127.')
  return isLoopback && !forwarded.some((name) => c.req.header(name) !== undefined)
}

function peerOf(c: Context<Env>): string | null {
  const { incoming } = (c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  const address = incoming?.socket?.remoteAddress
  return address === undefined ? null : plain(address)
}

/** An IPv4 address as a dual-stack socket writes it is one. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '')
const isAddress = (text: string) => /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:.]*:[0-9a-f:.]*)$/i.test(text)
