// A JSON schema as far as forms need it: of the API's document, with its references.

export interface Schema {
  $ref?: string
  type?: string | readonly string[]
  properties?: Readonly<Record<string, Schema>>
  required?: readonly string[]
  items?: Schema
  enum?: readonly unknown[]
  default?: unknown
  description?: string
  minimum?: number
  maximum?: number
  format?: string
  additionalProperties?: boolean | Schema
  oneOf?: readonly Schema[]
  anyOf?: readonly Schema[]
}

export type Schemas = Readonly<Record<string, Schema>>

export type FieldKind = 'object' | 'choice' | 'yes-no' | 'number' | 'text' | 'texts' | 'json'

export function resolved(schema: Schema, schemas: Schemas): Schema {
  const name = schema.$ref?.split('/').at(-1)
  return name === undefined ? schema : (schemas[name] ?? {})
}

/** How a value of a schema is asked for; what is neither simple nor an object of known fields is asked for as JSON. */
export function fieldKind(schema: Schema, schemas: Schemas): FieldKind {
  if (schema.enum !== undefined) return 'choice'
  const types = [schema.type ?? []].flat().filter((type) => type !== 'null')
  if (types.length !== 1) return 'json'
  const [type] = types
  if (type === 'boolean') return 'yes-no'
  if (type === 'number' || type === 'integer') return 'number'
  if (type === 'string') return 'text'
  if (type === 'array') return resolved(schema.items ?? {}, schemas).type === 'string' ? 'texts' : 'json'
  return type === 'object' && schema.properties !== undefined ? 'object' : 'json'
}

export type Value = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value with one field set or, for undefined, left out; objects that become empty go too. */
export function withField(value: Value, path: readonly string[], field: unknown): Value {
  const [name, ...rest] = path
  if (name === undefined) return value
  const inner = value[name]
  const next = rest.length === 0 ? field : withField(isObject(inner) ? inner : {}, rest, field)
  const isGone = next === undefined || (rest.length > 0 && isObject(next) && Object.keys(next).length === 0)
  if (!isGone) return { ...value, [name]: next }
  return Object.fromEntries(Object.entries(value).filter(([other]) => other !== name))
}

/** What was typed with commas between; null: nothing. */
export function listOf(text: string): string[] | null {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
  return parts.length === 0 ? null : parts
}

/** A plain value as text; of others nothing. */
export const plainText = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
