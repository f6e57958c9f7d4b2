import type { LookupFunction } from 'node:net'
import { Agent, fetch as send } from 'undici'

/** One that keeps no connection. */
export const openClient = (connect: { lookup: LookupFunction; timeout: number }) => ({
  send,
  dispatcher: new Agent({ pipelining: 0, connect }),
})

export type Client = ReturnType<typeof openClient>
