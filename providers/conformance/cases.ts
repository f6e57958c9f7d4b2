import type { Case } from './bench.ts'
import { faultCases } from './fault-cases.ts'
import { launchCases } from './launch-cases.ts'
import { observeCases } from './observe-cases.ts'
import { offerCases } from './offer-cases.ts'
import { stopCases } from './stop-cases.ts'

/** Every promise of providers/provider.ts, one a case. */
export const cases: readonly Case[] = [
  ...offerCases,
  ...launchCases,
  ...observeCases,
  ...stopCases,
  ...faultCases,
]
