import { useQueryClient } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import LogOut from 'lucide-react/icons/log-out'
import MenuIcon from 'lucide-react/icons/menu'
import Moon from 'lucide-react/icons/moon'
import Sun from 'lucide-react/icons/sun'
import Search from 'lucide-react/icons/search'
import { lazy, type ReactNode, Suspense, useEffect, useMemo, useState } from 'react'
import { useBerth } from '../api/context.tsx'
import { useFeedState } from '../api/live.tsx'
import { may, useMe } from '../api/me.ts'
import { nav } from '../parts/nav.ts'
import { common } from '../text/common.ts'
import { useText } from '../text/language.tsx'
import { usePrefs } from '../text/prefs.tsx'
import { shell } from '../text/shell.ts'
import { Dot } from '../ui/badge.tsx'
import { IconButton } from '../ui/button.tsx'
import { useKeys } from '../ui/keyboard.ts'
import { Mark } from '../ui/mark.tsx'

const loadPalette = () => import('./palette.tsx')
const Palette = lazy(async () => ({ default: (await loadPalette()).Palette }))
const KeyboardHelp = lazy(async () => ({ default: (await import('./keyboard-help.tsx')).KeyboardHelp }))

/** After the page itself. */
const idle_ms = 1_500

export function Layout() {
  const t = useText(shell)
  const [isOpen, setOpen] = useState(false)
  const path = useRouterState({ select: ({ location }) => location.pathname })
  useEffect(() => setOpen(false), [path])
  const [palette, openPalette] = useState(false)
  const [help, openHelp] = useState(false)
  useJumps(() => openHelp(true))
  usePaletteKey(() => openPalette(true))
  // Who presses its keys begins to type at once: it is there by then.
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette(), idle_ms)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div className="flex h-dvh flex-col md:flex-row">
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:absolute focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-raised focus:px-3 focus:py-2"
      >
        {t('skip')}
      </a>
      <header className="flex h-12 items-center gap-2 border-b border-line bg-surface px-3 md:hidden">
        <IconButton label={t('menu')} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <MenuIcon className="size-4" aria-hidden />
        </IconButton>
        <Mark className="size-6" />
        <span className="flex-1 font-semibold">Berth</span>
        <LiveState />
      </header>
      <aside
        className={`${isOpen ? 'flex' : 'hidden'} min-h-0 w-full flex-1 flex-col border-r border-line bg-surface md:flex md:w-52 md:flex-none`}
      >
        <div className="hidden h-13 items-center gap-2.5 px-4 md:flex">
          <Mark className="size-6" />
          <span className="flex-1 text-[15px] font-semibold">Berth</span>
          <LiveState />
        </div>
        <div className="px-3 pb-1">
          <button
            type="button"
            onClick={() => openPalette(true)}
            className="flex h-8 w-full items-center gap-2 rounded-md border border-line bg-sunken px-2 text-[13px] text-muted hover:border-line-strong"
          >
            <Search className="size-3.5" aria-hidden />
            <span className="flex-1 truncate text-left">{t('search')}</span>
            <kbd className="font-sans text-xs">⌘K</kbd>
          </button>
        </div>
        <Navigation />
        <Foot />
      </aside>
      <main
        id="content"
        tabIndex={-1}
        className={`${isOpen ? 'hidden md:flex' : 'flex'} min-h-0 min-w-0 flex-1 flex-col overflow-y-auto bg-canvas outline-none`}
      >
        <Outlet />
      </main>
      <Suspense fallback={null}>
        {palette ? <Palette onClose={() => openPalette(false)} onHelp={() => openHelp(true)} /> : null}
        {help ? <KeyboardHelp onClose={() => openHelp(false)} /> : null}
      </Suspense>
    </div>
  )
}

function Navigation() {
  const t = useText(shell)
  const me = useMe()
  return (
    <nav aria-label={t('navigation')} className="min-h-0 flex-1 overflow-y-auto px-2 pb-4">
      {nav.map(({ text, places }) => {
        const shown = places.filter(({ right }) => may(me, right))
        if (shown.length === 0) return null
        return (
          <div key={text} className="mt-3 first:mt-1">
            <h2 className="px-2 pb-1 text-xs text-muted">{t(text)}</h2>
            <ul>
              {shown.map(({ to, text: label, icon: Icon }) => (
                <li key={to}>
                  <Link
                    to={to}
                    activeOptions={{ exact: to === '/', includeSearch: false }}
                    className="flex h-8 items-center gap-2.5 rounded-md px-2 text-muted hover:bg-idle-wash hover:text-text"
                    activeProps={{ className: 'bg-idle-wash text-text! font-medium' }}
                  >
                    <Icon className="size-4 shrink-0" aria-hidden />
                    <span className="truncate">{t(label)}</span>
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
    </nav>
  )
}

function Foot() {
  const t = useText(shell)
  const cache = useQueryClient()
  const { api, credentials } = useBerth()
  const { isDark, change } = usePrefs()
  const signOut = async () => {
    // A session ends at the server too; a key is only forgotten here.
    if (credentials.now()?.kind === 'cookie')
      await api.send('/v1/auth/logout', { method: 'POST' }).catch(() => undefined)
    credentials.forget()
    cache.clear()
  }
  return (
    <div className="flex items-center gap-1 border-t border-line px-3 py-2">
      <Who />
      <IconButton
        label={isDark ? t('lightTheme') : t('darkTheme')}
        onClick={() => change({ theme: isDark ? 'light' : 'dark' })}
      >
        {isDark ? <Sun className="size-4" aria-hidden /> : <Moon className="size-4" aria-hidden />}
      </IconButton>
      <IconButton label={t('signOut')} onClick={() => void signOut()}>
        <LogOut className="size-4" aria-hidden />
      </IconButton>
    </div>
  )
}

/** The project, which a person of several may change, and the role in it. */
function Who() {
  const t = useText(shell)
  const me = useMe()
  const cache = useQueryClient()
  const { credentials } = useBerth()
  const role = me === undefined ? '' : may(me, 'operator') ? 'operator' : (me.role ?? '')
  const mayChoose = me !== undefined && me.by === 'user' && me.projects.length > 1
  return (
    <div className="min-w-0 flex-1 leading-tight">
      {mayChoose ? (
        <select
          aria-label={t('project')}
          className="h-6 w-full truncate rounded bg-transparent text-[13px] font-medium"
          value={me.project?.id ?? ''}
          onChange={({ target }) => {
            credentials.useProject(target.value)
            void cache.resetQueries()
          }}
        >
          {me.projects.map(({ id, name }) => (
            <option key={id} value={id} className="bg-surface">
              {name}
            </option>
          ))}
        </select>
      ) : (
        <div className="truncate text-[13px] font-medium">{me?.project?.name}</div>
      )}
      <div className="truncate text-xs text-muted" title={me?.email ?? me?.name}>
        {role}
      </div>
    </div>
  )
}

function LiveState(): ReactNode {
  const t = useText(common)
  const state = useFeedState()
  return (
    <span role="status" className="inline-flex items-center gap-1.5 text-xs text-muted">
      <Dot tone={state === 'live' ? 'good' : 'warn'} moving={state !== 'live'} />
      <span className={state === 'live' ? 'sr-only' : ''}>
        {state === 'live' ? t('live') : state === 'away' ? t('reconnecting') : t('connecting')}
      </span>
    </span>
  )
}

function useJumps(onHelp: () => void) {
  const navigate = useNavigate()
  const { isDark, change } = usePrefs()
  const keys = useMemo(
    () => ({
      ...Object.fromEntries(
        nav
          .flatMap(({ places }) => places)
          .flatMap(({ key, to }) => (key === undefined ? [] : [[`g ${key}`, () => void navigate({ to })]])),
      ),
      c: () => void navigate({ to: '/new' }),
      t: () => change({ theme: isDark ? 'light' : 'dark' }),
      '?': onHelp,
    }),
    [navigate, isDark, change, onHelp],
  )
  useKeys(keys)
}

/** Also while somebody types. */
function usePaletteKey(onOpen: () => void) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey)) return
      event.preventDefault()
      onOpen()
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [onOpen])
}
