// Where one can go, and by which keys.
import GitCompare from 'lucide-react/icons/git-compare'
import List from 'lucide-react/icons/list'
import type { ComponentType } from 'react'
import type { Right } from '../api/me.ts'
import type { shell } from '../text/shell.ts'

export interface Place {
  to: '/' | '/jobs' | '/compare'
  text: keyof typeof shell
  icon: ComponentType<{ className?: string }>
  /** After `g`. */
  key?: string
  /** Who it is shown to. */
  right: Right
}

export interface NavGroup {
  text: keyof typeof shell
  places: readonly Place[]
}

export const nav: readonly NavGroup[] = [
  {
    text: 'work',
    places: [
      { to: '/jobs', text: 'jobs', icon: List, key: 'j', right: 'viewer' },
      { to: '/compare', text: 'compare', icon: GitCompare, key: 'c', right: 'viewer' },
    ],
  },
]
