// Colours of charts, for what a canvas cannot take from the style sheet. Lines keep 3:1 against their surface.
import { useMemo } from 'react'
import { usePrefs } from '../text/prefs.tsx'

export interface Colours {
  text: string
  muted: string
  line: string
  surface: string
  raised: string
  /** One for each of several lines. */
  series: readonly string[]
  /** Of what is compared with. */
  quiet: string
  up: string
  down: string
  /** From down over nothing to up. */
  diverging: readonly string[]
  /** From little to much; seen by the colour-blind too (viridis). */
  ramp: readonly string[]
}

const light = {
  text: '#14181d',
  muted: '#55606c',
  line: '#e3e7eb',
  surface: '#ffffff',
  raised: '#ffffff',
  series: ['#1f5fd6', '#c2410c', '#0b7a75', '#8b3fc7', '#946200', '#be185d'],
  quiet: '#7a8794',
  green: '#0b7a4b',
  red: '#c22f26',
  none: '#f3f5f7',
}
const dark = {
  text: '#e7eaee',
  muted: '#9aa5b1',
  line: '#22272e',
  surface: '#111418',
  raised: '#181c21',
  series: ['#6ea0ff', '#fb923c', '#34d3b6', '#c792ea', '#f0b429', '#f472b6'],
  quiet: '#7d8894',
  green: '#3fb97f',
  red: '#f0685e',
  none: '#1b2027',
}
const ramp = ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725']

export function useColours(): Colours {
  const { isDark, redIsUp } = usePrefs()
  return useMemo(() => {
    const { green, red, none, ...known } = isDark ? dark : light
    const [up, down] = redIsUp ? [red, green] : [green, red]
    return { ...known, up, down, diverging: [down, none, up], ramp }
  }, [isDark, redIsUp])
}
