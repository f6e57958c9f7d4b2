// What an instance may leave behind, with its tags: a disk that was not released with it costs, a network interface holds an address.
import type { Found } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import { page_size, tags } from './instances.ts'
import type { AlibabaProviderOptions } from './options.ts'

type Asker = { api: Api; options: AlibabaProviderOptions }

interface Disk {
  diskId?: string
  creationTime?: string
}
interface Interface {
  networkInterfaceId?: string
  creationTime?: string
}

/** Those that belong to no instance (any more). */
export async function helpersOf({ api, options }: Asker, signal: AbortSignal): Promise<Found[]> {
  const request = {
    regionId: options.region,
    status: 'Available',
    tag: [{ key: tags.installation, value: options.installation }],
    maxResults: page_size,
  }
  type DiskPage = { nextToken?: string; disks?: { disk?: Disk[] } }
  const disks = await pagesOf(
    (nextToken) =>
      api.call<DiskPage>('DescribeDisks', { ...request, ...(nextToken && { nextToken }) }, signal),
    (page) => page.disks?.disk,
    ({ diskId }) => diskId,
  )
  type InterfacePage = { nextToken?: string; networkInterfaceSets?: { networkInterfaceSet?: Interface[] } }
  const interfaces = await pagesOf(
    (nextToken) =>
      api.call<InterfacePage>(
        'DescribeNetworkInterfaces',
        { ...request, ...(nextToken && { nextToken }) },
        signal,
      ),
    (page) => page.networkInterfaceSets?.networkInterfaceSet,
    ({ networkInterfaceId }) => networkInterfaceId,
  )
  return [
    ...disks.map(({ diskId = '', creationTime }) => foundOf({ disk: diskId }, diskId, creationTime)),
    ...interfaces.map(({ networkInterfaceId = '', creationTime }) =>
      foundOf({ interface: networkInterfaceId }, networkInterfaceId, creationTime),
    ),
  ]
}

/** Their price is not told; cents a month, and they are cleaned within minutes. */
const foundOf = (handle: Found['handle'], name: string, since: string | undefined): Found => ({
  name,
  attempt_id: null,
  handle,
  usd_per_hour: 0,
  since: since ?? null,
})
