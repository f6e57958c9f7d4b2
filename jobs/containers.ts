// Where work of a kind can run: with this installation's own programs, in a container, or both.
import type { LaunchRequest, Offer, ProviderTraits } from '../providers/provider.ts'
import type { Settings } from './deps.ts'
import { launchImage } from './kinds/custom.ts'
import type { RejectionReason } from './place.ts'
import type { JobSpec } from './spec.ts'

/** What a container of the work is started with. */
export type Container = Pick<LaunchRequest, 'image' | 'command'>

/** What runs where images are not run: the provider's own program. */
export const ownProgram: Container = { image: null }

/** null: no image is named for work of this kind. */
export function containerOf(spec: JobSpec, settings: Pick<Settings, 'image'>): Container | null {
  if (spec.kind === 'custom') return launchImage(spec.params)
  const image = settings.image(spec.kind)
  return image === null ? null : { image }
}

/** What a launch at a place with these traits starts; null: it cannot run the work. */
export function startedAt(traits: ProviderTraits, container: Container | null): Container | null {
  if (traits.runs_images) return container
  // A program of the user's own is in no other place than its image.
  return container?.command ? null : ownProgram
}

/** Why a place cannot run the work, whatever it offers; null: it can. Offers of an account stand together. */
export function fitting(
  container: Container | null,
  traits_of: (provider: string, account: string) => ProviderTraits,
): (offer: Offer) => RejectionReason | null {
  let last: { offer: Offer; unfit: RejectionReason | null } | null = null
  return (offer) => {
    if (last?.offer.provider !== offer.provider || last.offer.account !== offer.account) {
      const traits = traits_of(offer.provider, offer.account)
      const isUnfit = startedAt(traits, container) === null
      last = { offer, unfit: !isUnfit ? null : traits.runs_images ? 'no_image' : 'no_containers' }
    }
    return last.unfit
  }
}
