// The providers that accounts can be made of: what each must be told, and how it is opened. Each loads its SDK when the
// first account is.
import type { Vendor } from '../../jobs/vendor.ts'
import { alibaba } from './alibaba.ts'
import { aws } from './aws.ts'
import { containers } from './containers.ts'
import { kubernetes } from './kubernetes.ts'
import { nomad } from './nomad.ts'
import { runpod } from './runpod.ts'
import { tencent } from './tencent.ts'

/** By the name that placement and policies use. */
export const vendors: Readonly<Record<string, Vendor>> = {
  alibaba,
  aws,
  containers,
  kubernetes,
  nomad,
  runpod,
  tencent,
}
