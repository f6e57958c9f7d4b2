import type { InputHTMLAttributes, ReactNode, SelectHTMLAttributes, TextareaHTMLAttributes } from 'react'
import { createContext, useContext, useId } from 'react'

export const inputClass =
  'h-8 w-full min-w-0 rounded-md border border-line-strong bg-surface px-2.5 text-text aria-invalid:border-bad disabled:opacity-60'

const FieldContext = createContext<{ id: string; described?: string | undefined; invalid: boolean } | null>(
  null,
)

interface FieldProps {
  label: ReactNode
  hint?: ReactNode
  error?: string | null | undefined
  children: ReactNode
  className?: string
}

/** A label, what it is for, and what is wrong with it. */
export function Field({ label, hint, error, children, className = '' }: FieldProps) {
  const id = useId()
  const described = error ? `${id}-error` : hint ? `${id}-hint` : undefined
  return (
    <div className={`flex min-w-0 flex-col gap-1 ${className}`}>
      <label htmlFor={id} className="text-[13px] font-medium text-text">
        {label}
      </label>
      <FieldContext value={{ id, described, invalid: Boolean(error) }}>{children}</FieldContext>
      {hint && !error ? (
        <p id={`${id}-hint`} className="text-xs text-muted">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} role="alert" className="text-xs text-bad">
          {error}
        </p>
      ) : null}
    </div>
  )
}

function useFieldProps() {
  const field = useContext(FieldContext)
  return field === null
    ? {}
    : { id: field.id, 'aria-describedby': field.described, 'aria-invalid': field.invalid || undefined }
}

export function Input({ className = '', ...rest }: InputHTMLAttributes<HTMLInputElement>) {
  return <input {...useFieldProps()} {...rest} className={`${inputClass} ${className}`} />
}

export function Select({ className = '', ...rest }: SelectHTMLAttributes<HTMLSelectElement>) {
  return <select {...useFieldProps()} {...rest} className={`${inputClass} pr-7 ${className}`} />
}

export function Textarea({ className = '', ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return (
    <textarea
      {...useFieldProps()}
      spellCheck={false}
      {...rest}
      className={`${inputClass} h-auto min-h-20 py-1.5 font-mono text-[13px] ${className}`}
    />
  )
}

export function Check({
  label,
  ...rest
}: Omit<InputHTMLAttributes<HTMLInputElement>, 'type'> & { label: ReactNode }) {
  return (
    <label className="inline-flex min-h-6 items-center gap-2">
      <input type="checkbox" {...rest} className="size-4 accent-accent" />
      <span>{label}</span>
    </label>
  )
}
