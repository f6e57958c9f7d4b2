// The document says of each thing that may be sent how long it may be, so that none is without a bound.
import { expect, test } from 'vitest'
import { openapiText } from '../../infra/write-openapi.ts'

interface Schema {
  $ref?: string
  type?: string | string[]
  pattern?: string
  properties?: Record<string, Schema>
  additionalProperties?: Schema | boolean
  items?: Schema
  anyOf?: Schema[]
  oneOf?: Schema[]
  allOf?: Schema[]
}
interface Operation {
  operationId: string
  parameters?: { name: string; schema: Schema }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
const document = JSON.parse(openapiText()) as {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Schema> }
}
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))

/** Streams of bytes, which whoever stores them bounds (test/functions/api.test.ts, datasets.test.ts). */
const streams = ['postArtifact', 'putArtifact', 'putDatasetPart']

/** Forms of any length: of times and addresses the whole body is the bound. */
const endless = /[+*]|,\}/

/** Strings without a length, form or list of values, and lists without a length. Names in objects are bounded as all bodies are. */
function unbounded(schema: Schema, where: string, within: readonly string[] = []): string[] {
  const name = schema.$ref?.split('/').at(-1)
  if (name !== undefined) {
    const named = document.components.schemas[name]
    return named && !within.includes(name) ? unbounded(named, where, [...within, name]) : []
  }
  const has = (...names: string[]) => names.some((each) => each in schema)
  const types = [schema.type].flat()
  const open =
    (types.includes('string') &&
      !has('maxLength', 'format', 'enum', 'const') &&
      endless.test(schema.pattern ?? '+')) ||
    (types.includes('array') && !has('maxItems', 'prefixItems'))
  const below = (each: Schema | boolean | undefined, at: string) =>
    typeof each === 'object' ? unbounded(each, `${where}${at}`, within) : []
  return [
    ...(open ? [where] : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([at, each]) => below(each, `.${at}`)),
    ...below(schema.additionalProperties, '.*'),
    ...below(schema.items, '[]'),
    ...[schema.anyOf, schema.oneOf, schema.allOf].flatMap((all) =>
      (all ?? []).flatMap((each) => below(each, '')),
    ),
  ]
}

test('every string and every list that may be sent has a bound', () => {
  expect(operations.length).toBeGreaterThan(100)
  const found = operations
    .filter(({ operationId }) => !streams.includes(operationId))
    .flatMap(({ operationId, parameters, requestBody }) => [
      ...(parameters ?? []).flatMap(({ name, schema }) => unbounded(schema, `${operationId} ${name}`)),
      ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => unbounded(schema, operationId)),
    ])
  expect(found).toEqual([])
  expect(unbounded({ properties: { a: { items: { type: 'string' } } } }, 'x')).toEqual(['x.a[]'])
})
