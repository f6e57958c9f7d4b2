import { fromUUIDBytes, TypeID } from 'typeid-js'
import { v7 } from 'uuid'

export type IdPrefix =
  | 'prj'
  | 'key'
  | 'job'
  | 'shd'
  | 'att'
  | 'rep'
  | 'dlv'
  | 'whk'
  | 'art'
  | 'req'
  | 'bud'
  | 'orp'
  | 'lim'
  | 'pac'
  | 'ds'
  | 'usr'
  | 'ses'
  | 'crd'
  | 'ver'
  | 'jwk'
  | 'inv'

/** A TypeID: `<prefix>_` and 26 base32 characters of a UUIDv7, so that ids sort by time. */
export function newId(prefix: IdPrefix, at: Date, random: (bytes: number) => Uint8Array): string {
  const uuid = v7({ msecs: at.getTime(), random: random(16) }, new Uint8Array(16))
  return fromUUIDBytes(prefix, uuid)
}

export function isId(prefix: IdPrefix, text: string): boolean {
  try {
    TypeID.fromString(text, prefix)
    return true
  } catch {
    return false
  }
}

/**
 * The name of an attempt's thing at a vendor: `berth-<6 of installation>-<suffix of the attempt id>`,
 * at most 45 characters of RFC 1123 (the shortest limit among the vendors).
 */
export function vendorName(installation: string, attempt_id: string): string {
  return `berth-${installation.slice(0, 6)}-${attempt_id.slice('att_'.length)}`
}
