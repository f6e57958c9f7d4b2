import type { ButtonHTMLAttributes, ReactNode } from 'react'
import { useId } from 'react'
import { Tip } from './tip.tsx'

type Look = 'primary' | 'plain' | 'quiet' | 'danger'

const looks: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:bg-accent-strong',
  plain: 'bg-surface border border-line-strong text-text hover:bg-sunken',
  quiet: 'text-muted hover:bg-idle-wash hover:text-text',
  danger: 'border border-line-strong text-bad hover:bg-bad-wash',
}

export const buttonClass = (look: Look = 'plain', small = false) =>
  `inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md font-medium whitespace-nowrap select-none ` +
  `${small ? 'h-7 px-2 text-[13px]' : 'h-8 px-3'} ${looks[look]}`

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: Look
  small?: boolean
  icon?: ReactNode
  /** Why it cannot be pressed now; it can be reached all the same, and says so. */
  why_not?: string | null | undefined
  busy?: boolean
}

export function Button({
  look = 'plain',
  small = false,
  icon,
  why_not,
  busy = false,
  children,
  onClick,
  className = '',
  ...rest
}: ButtonProps) {
  const id = useId()
  const isOff = Boolean(why_not) || busy
  const button = (
    <button
      type="button"
      {...rest}
      aria-disabled={isOff || undefined}
      aria-busy={busy || undefined}
      aria-describedby={why_not ? id : rest['aria-describedby']}
      onClick={isOff ? (event) => event.preventDefault() : onClick}
      className={`${buttonClass(look, small)} ${isOff ? 'cursor-not-allowed opacity-60' : ''} ${className}`}
    >
      {icon}
      {children}
      {why_not ? (
        <span id={id} className="sr-only">
          {why_not}
        </span>
      ) : null}
    </button>
  )
  return why_not ? <Tip text={why_not}>{button}</Tip> : button
}

export function IconButton({ label, children, ...rest }: ButtonProps & { label: string }) {
  return (
    <Tip text={rest.why_not ?? label}>
      <Button
        look="quiet"
        {...rest}
        aria-label={label}
        className={`w-8 px-0! ${rest.className ?? ''}`}
        why_not={undefined}
        aria-disabled={rest.why_not ? true : undefined}
        onClick={rest.why_not ? undefined : rest.onClick}
      >
        {children}
      </Button>
    </Tip>
  )
}
