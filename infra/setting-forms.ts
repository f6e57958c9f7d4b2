// How the text of a variable is read.
import { resolve } from 'node:path'
import { z } from 'zod'

export interface Variable {
  /** What an unset variable means, in words where it follows from something else. */
  shown?: string
  /** What an unset variable is parsed from; null: left open. */
  default: string | null
  meaning: string
  parse: z.ZodType
}

export const path = z.string().transform((text) => resolve(text))
export const truth = z.stringbool({
  truthy: ['true', '1'],
  falsy: ['false', '0'],
  error: 'must be true or false',
})
export const wholeNumber = (least: number, most: number) =>
  // In one step: a dozen variables are numbers, and each step of each is made at every start.
  z.string().transform((text, context) => {
    const isWhole = /^\d{1,12}$/.test(text)
    const n = Number(text)
    if (isWhole && n >= least && n <= most) return n
    context.addIssue(isWhole ? `must be from ${least} to ${most}` : 'must be a whole number')
    return z.NEVER
  })
export const list = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

export const publicUrl = z
  .string()
  .refine((text) => {
    const url = URL.parse(text)
    const plain = url !== null && `${url.search}${url.hash}${url.username}${url.password}` === ''
    return plain && ['http:', 'https:'].includes(url.protocol)
  }, 'must be an http:// or https:// address without a user, a query or a fragment')
  .transform((text) => text.replace(/\/+$/, ''))
