// The providers that accounts can be made of. Each loads its SDK when the first account is opened.
import type { Vendor } from '../jobs/vendor.ts'

export const vendors: Readonly<Record<string, Vendor>> = {}
