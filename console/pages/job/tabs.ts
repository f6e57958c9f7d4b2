// The tabs of a job's page, in their order. A tab is shown for the jobs that it fits; the first that `leads` is open at first.
import { type ComponentType, lazy, type LazyExoticComponent } from 'react'
import { variedParameters } from '../../api/results.ts'
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
    id: 'training',
    label: ['Result', '结果'],
    shows: ({ kind, result }) => kind === 'training' && result !== null,
    leads: () => true,
    Content: lazy(async () => ({ default: (await import('../training/training-tab.tsx')).TrainingTab })),
  },
  {
    id: 'sweep',
    label: ['Sweep', '参数扫描'],
    shows: (job) => job.kind === 'backtest' && variedParameters(job).length > 0,
    leads: ({ state }) => state === 'running',
    Content: lazy(async () => ({ default: (await import('../sweep/sweep-tab.tsx')).SweepTab })),
  },
  {
    id: 'timeline',
    label: ['Timeline', '时间线'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./timeline-tab.tsx')).TimelineTab })),
  },
  {
    id: 'machines',
    label: ['Machines', '机器'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./machines-tab.tsx')).MachinesTab })),
  },
  {
    id: 'log',
    label: ['Log', '日志'],
    shows: () => true,
    leads: ({ state }) => state === 'running' || state === 'failed',
    Content: lazy(async () => ({ default: (await import('../log/log-tab.tsx')).LogTab })),
  },
  {
    id: 'explain',
    label: ['Placement', '调度说明'],
    shows: () => true,
    leads: ({ state }) => state === 'queued',
    Content: lazy(async () => ({ default: (await import('./explain-tab.tsx')).ExplainTab })),
  },
  {
    id: 'files',
    label: ['Files', '文件'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./files-tab.tsx')).FilesTab })),
  },
  {
    id: 'spec',
    label: ['Spec', '规格'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./spec-tab.tsx')).SpecTab })),
  },
  {
    id: 'deliveries',
    label: ['Webhooks', 'Webhook'],
    shows: () => true,
    Content: lazy(async () => ({ default: (await import('./deliveries-tab.tsx')).DeliveriesTab })),
  },
]
