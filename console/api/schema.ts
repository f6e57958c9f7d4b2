import { queryOptions } from '@tanstack/react-query'
import type { Api } from './client.ts'

/** A part of the API's own document. */
export interface SpecSchema {
  [name: string]: unknown
}

interface Document {
  components: { schemas: Record<string, SpecSchema> }
}

/** The schemas of the API: forms follow them. */
export const schemasQuery = (api: Api) =>
  queryOptions({
    queryKey: ['schemas'],
    queryFn: async () => ((await (await api.send('/openapi.json')).json()) as Document).components.schemas,
    staleTime: Number.POSITIVE_INFINITY,
  })
