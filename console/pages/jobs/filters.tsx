import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { JobFilters } from '../../api/jobs.ts'
import { stateTexts } from '../../text/common.ts'
import { jobsTexts } from '../../text/jobs.ts'
import { useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { inputClass } from '../../ui/field.tsx'
import { SavedFilters } from './saved-filters.tsx'
import { jobKinds, jobStates } from './search.ts'

/** Typing is over when nothing has come for so long. */
const typed_ms = 300

export function Filters({ filters }: { filters: JobFilters }) {
  const t = useText(jobsTexts)
  const s = useText(stateTexts)
  const navigate = useNavigate()
  const set = (patch: Partial<Record<keyof JobFilters, string | undefined>>) =>
    void navigate({
      to: '/jobs',
      search: Object.fromEntries(
        Object.entries({ ...filters, ...patch }).filter(([, value]) => value),
      ) as JobFilters,
      replace: true,
    })
  const isFiltered = Object.keys(filters).length > 0
  return (
    <div
      role="search"
      aria-label={t('filters')}
      className="flex flex-wrap items-center gap-2 border-b border-line px-4 pb-3"
    >
      <Choice
        label={t('filterState')}
        value={filters.state}
        choices={jobStates.map((state) => [state, s(state)])}
        onChange={(state) => set({ state })}
      />
      <Choice
        label={t('filterKind')}
        value={filters.kind}
        choices={jobKinds.map((kind) => [kind, kind])}
        onChange={(kind) => set({ kind })}
      />
      <Text
        id="filter-label"
        label={t('filterLabel')}
        value={filters.label ?? ''}
        onChange={(label) => set({ label })}
        width="w-44!"
      />
      <Text
        id="filter-provider"
        label={t('filterProvider')}
        value={filters.provider ?? ''}
        onChange={(provider) => set({ provider })}
        width="w-28!"
      />
      <Day
        label={t('filterAfter')}
        value={filters.created_after}
        onChange={(created_after) => set({ created_after })}
      />
      <Day
        label={t('filterBefore')}
        value={filters.created_before}
        onChange={(created_before) => set({ created_before })}
      />
      <SavedFilters filters={filters} />
      {isFiltered ? (
        <Button look="quiet" onClick={() => void navigate({ to: '/jobs', search: {}, replace: true })}>
          {t('clear')}
        </Button>
      ) : null}
    </div>
  )
}

interface ChoiceProps {
  label: string
  value: string | undefined
  choices: readonly (readonly [value: string, text: string])[]
  onChange: (value: string | undefined) => void
}

function Choice({ label, value, choices, onChange }: ChoiceProps) {
  return (
    <select
      aria-label={label}
      className={`${inputClass} w-32! text-[13px]`}
      value={value ?? ''}
      onChange={({ target }) => onChange(target.value || undefined)}
    >
      <option value="">{label}</option>
      {choices.map(([each, text]) => (
        <option key={each} value={each}>
          {text}
        </option>
      ))}
    </select>
  )
}

function Text({
  id,
  label,
  value,
  onChange,
  width,
}: {
  id: string
  label: string
  value: string
  onChange: (text: string | undefined) => void
  width: string
}) {
  const [typed, setTyped] = useState(value)
  useEffect(() => setTyped(value), [value])
  useEffect(() => {
    if (typed === value) return
    const timer = setTimeout(() => onChange(typed.trim() || undefined), typed_ms)
    return () => clearTimeout(timer)
  }, [typed, value, onChange])
  return (
    <input
      id={id}
      aria-label={label}
      placeholder={label}
      className={`${inputClass} text-[13px] ${width}`}
      value={typed}
      onChange={({ target }) => setTyped(target.value)}
      onKeyDown={({ key, currentTarget }) => key === 'Escape' && currentTarget.blur()}
    />
  )
}

function Day({
  label,
  value,
  onChange,
}: {
  label: string
  value: string | undefined
  onChange: (at: string | undefined) => void
}) {
  return (
    <input
      type="date"
      aria-label={label}
      title={label}
      className={`${inputClass} w-36! text-[13px] ${value ? '' : 'text-muted'}`}
      value={value === undefined ? '' : localDay(value)}
      onChange={({ target }) =>
        onChange(target.value === '' ? undefined : new Date(`${target.value}T00:00:00`).toISOString())
      }
    />
  )
}

/** The day of a time in the viewer's zone. */
function localDay(at: string): string {
  const time = new Date(at)
  if (Number.isNaN(time.getTime())) return ''
  const two = (value: number) => String(value).padStart(2, '0')
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
}
