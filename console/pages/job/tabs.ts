// The tabs of a job's page, in their order. A tab is shown for the jobs that it fits; the first that `leads` is open at first.
import { type ComponentType, lazy, type LazyExoticComponent } from 'react'
import type { Job } from '../../api/types.ts'

export interface JobTab {
  id: string
  label: readonly [en: string, zh: string]
  shows: (job: Job) => boolean
  /** Whether it is what one wants to see first of this job. */
  leads?: (job: Job) => boolean
  Content: LazyExoticComponent<ComponentType<{ job: Job }>>
}

export const jobTabs: readonly JobTab[] = [
  {
    id: 'result',
    label: ['Result', '结果'],
    shows: ({ kind, result }) => kind === 'backtest' && result !== null,
    leads: () => true,
    Content: lazy(async () => ({ default: (await import('../backtest/result-tab.tsx')).ResultTab })),
  },
  {
    id: 'timeline',
    label: ['Timeline', '时间线'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./timeline-tab.tsx')).TimelineTab })),
  },
]
