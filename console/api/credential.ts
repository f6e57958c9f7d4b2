// Who this browser speaks as: an API key, kept for the tab unless the person wants it kept for the browser, or the cookie of
// a signed-in user, which no script can read. This is the one place that knows.

const name = 'berth.key'
/** Of the projects of a person, the one that is looked at. */
const projectName = 'berth.project'

export type Credential = { kind: 'key'; key: string } | { kind: 'cookie' }

export interface Credentials {
  /** null: nobody has signed in. */
  now: () => Credential | null
  useKey: (key: string, for_browser: boolean) => void
  useCookie: () => void
  forget: () => void
  /** null: the one that the person has belonged to longest. */
  project: () => string | null
  useProject: (id: string) => void
  /** Calls back after each change; answers how to end that. */
  watch: (changed: () => void) => () => void
}

export function keepCredentials(tab: Storage, browser: Storage): Credentials {
  const watchers = new Set<() => void>()
  let known = read(tab) ?? read(browser)
  const become = (credential: Credential | null) => {
    known = credential
    for (const changed of watchers) changed()
  }
  const clear = () => {
    tab.removeItem(name)
    browser.removeItem(name)
    browser.removeItem(projectName)
  }
  return {
    now: () => known,
    useKey(key, for_browser) {
      clear()
      const store = for_browser ? browser : tab
      store.setItem(name, key)
      become({ kind: 'key', key })
    },
    useCookie() {
      clear()
      // Which browser has a session no script can see: this is only a note to ask.
      browser.setItem(name, 'cookie')
      become({ kind: 'cookie' })
    },
    forget() {
      clear()
      become(null)
    },
    project: () => browser.getItem(projectName),
    useProject(id) {
      browser.setItem(projectName, id)
      become(known && { ...known })
    },
    watch(changed) {
      watchers.add(changed)
      return () => watchers.delete(changed)
    },
  }
}

function read(store: Storage): Credential | null {
  const kept = store.getItem(name)
  if (kept === null) return null
  return kept === 'cookie' ? { kind: 'cookie' } : { kind: 'key', key: kept }
}

/**
 * The key in the fragment of an address like `/#key=...`, which the page of the quickstart opens. A fragment is sent to no
 * server, and the caller takes it out of the address at once.
 */
export function keyInFragment(fragment: string): string | null {
  const key = new URLSearchParams(fragment.replace(/^#/, '')).get('key')
  return key !== null && /^[\x21-\x7e]{1,512}$/.test(key) ? key : null
}
