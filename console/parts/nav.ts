// Where one can go, and by which keys.
import Activity from 'lucide-react/icons/activity'
import Anchor from 'lucide-react/icons/anchor'
import ChartLine from 'lucide-react/icons/chart-line'
import Cpu from 'lucide-react/icons/cpu'
import Database from 'lucide-react/icons/database'
import Gauge from 'lucide-react/icons/gauge'
import GitCompare from 'lucide-react/icons/git-compare'
import KeyRound from 'lucide-react/icons/key-round'
import List from 'lucide-react/icons/list'
import Lock from 'lucide-react/icons/lock'
import Plus from 'lucide-react/icons/plus'
import Rocket from 'lucide-react/icons/rocket'
import Scale from 'lucide-react/icons/scale'
import ScrollText from 'lucide-react/icons/scroll-text'
import Settings from 'lucide-react/icons/settings'
import Tags from 'lucide-react/icons/tags'
import TriangleAlert from 'lucide-react/icons/triangle-alert'
import Users from 'lucide-react/icons/users'
import Webhook from 'lucide-react/icons/webhook'
import type { ComponentType } from 'react'
import type { Right } from '../api/me.ts'
import type { shell } from '../text/shell.ts'

export interface Place {
  to:
    | '/'
    | '/jobs'
    | '/new'
    | '/compare'
    | '/start'
    | '/datasets'
    | '/accounts'
    | '/offers'
    | '/gpus'
    | '/orphans'
    | '/limits'
    | '/usage'
    | '/keys'
    | '/webhooks'
    | '/secrets'
    | '/policy'
    | '/settings'
    | '/members'
    | '/audit'
  text: keyof typeof shell
  icon: ComponentType<{ className?: string }>
  /** After `g`. */
  key?: string
  /** Who it is shown to. */
  right: Right
}

interface NavGroup {
  text: keyof typeof shell
  places: readonly Place[]
}

export const nav: readonly NavGroup[] = [
  {
    text: 'work',
    places: [
      { to: '/', text: 'overview', icon: Activity, key: 'o', right: 'viewer' },
      { to: '/jobs', text: 'jobs', icon: List, key: 'j', right: 'viewer' },
      { to: '/new', text: 'newJob', icon: Plus, key: 'n', right: 'viewer' },
      { to: '/compare', text: 'compare', icon: GitCompare, key: 'm', right: 'viewer' },
      { to: '/datasets', text: 'datasets', icon: Database, key: 'd', right: 'viewer' },
      { to: '/start', text: 'start', icon: Rocket, right: 'member' },
    ],
  },
  {
    text: 'providers',
    places: [
      { to: '/accounts', text: 'accounts', icon: Anchor, key: 'p', right: 'operator' },
      { to: '/offers', text: 'offers', icon: Tags, key: 'f', right: 'viewer' },
      { to: '/gpus', text: 'gpus', icon: Cpu, key: 'c', right: 'viewer' },
      { to: '/orphans', text: 'orphans', icon: TriangleAlert, key: 'x', right: 'operator' },
      { to: '/limits', text: 'limits', icon: Gauge, key: 'l', right: 'viewer' },
    ],
  },
  {
    text: 'project',
    places: [
      { to: '/usage', text: 'usage', icon: ChartLine, key: 'u', right: 'viewer' },
      { to: '/keys', text: 'keys', icon: KeyRound, key: 'k', right: 'admin' },
      { to: '/members', text: 'members', icon: Users, key: 'm', right: 'viewer' },
      { to: '/webhooks', text: 'webhooks', icon: Webhook, key: 'w', right: 'member' },
      { to: '/secrets', text: 'secrets', icon: Lock, key: 's', right: 'viewer' },
      { to: '/policy', text: 'policy', icon: Scale, key: 'y', right: 'viewer' },
      { to: '/audit', text: 'audit', icon: ScrollText, key: 'a', right: 'admin' },
      { to: '/settings', text: 'settings', icon: Settings, key: ',', right: 'viewer' },
    ],
  },
]
