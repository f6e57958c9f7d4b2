// A form that follows a schema: what the API takes is asked for, with its defaults and its bounds.
import { useState } from 'react'
import { newTexts } from '../text/new.ts'
import { useText } from '../text/language.tsx'
import { Field, Input, Select, Textarea } from './field.tsx'
import { fieldKind, isObject, plainText, resolved, type Schema, type Schemas, type Value } from './schema.ts'

interface FormProps {
  schema: Schema
  schemas: Schemas
  value: Value
  /** By dotted path. */
  errors: ReadonlyMap<string, string>
  onChange: (path: readonly string[], field: unknown) => void
  path?: readonly string[]
  /** Fields that stand elsewhere. */
  without?: readonly string[]
}

export function SchemaForm({ schema, schemas, value, errors, onChange, path = [], without = [] }: FormProps) {
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => !without.includes(name))
  const whole = fields.map(([name, of]) => ({
    name,
    schema: resolved(of, schemas),
    required: schema.required?.includes(name) ?? false,
  }))
  const simple = whole.filter((field) => fieldKind(field.schema, schemas) !== 'object')
  const objects = whole.filter((field) => fieldKind(field.schema, schemas) === 'object')
  return (
    <div className="flex flex-col gap-3">
      {simple.length === 0 ? null : (
        <div className="grid grid-cols-[repeat(auto-fill,minmax(13rem,1fr))] gap-3">
          {simple.map((field) => (
            <OneField
              key={field.name}
              {...field}
              schemas={schemas}
              value={value[field.name]}
              error={errors.get([...path, field.name].join('.'))}
              onChange={(next) => onChange([...path, field.name], next)}
            />
          ))}
        </div>
      )}
      {objects.map(({ name, schema: inner, required }) => {
        const here = value[name]
        return (
          <Group
            key={name}
            name={name}
            required={required}
            isSet={isObject(here)}
            error={errors.get([...path, name].join('.'))}
          >
            <SchemaForm
              schema={inner}
              schemas={schemas}
              value={isObject(here) ? here : {}}
              errors={errors}
              onChange={onChange}
              path={[...path, name]}
            />
          </Group>
        )
      })}
    </div>
  )
}

interface GroupProps {
  name: string
  required: boolean
  isSet: boolean
  error: string | undefined
  children: React.ReactNode
}

function Group({ name, required, isSet, error, children }: GroupProps) {
  const [isOpen, setOpen] = useState(isSet || required)
  return (
    <details
      open={isOpen}
      onToggle={({ currentTarget }) => setOpen(currentTarget.open)}
      className="rounded-md border border-line"
    >
      <summary className="cursor-pointer px-3 py-1.5 text-[13px] font-medium">
        {name}
        {isSet || required ? null : <span className="ml-2 font-normal text-muted">–</span>}
        {error === undefined ? null : <span className="ml-2 font-normal text-bad">{error}</span>}
      </summary>
      {isOpen ? <div className="border-t border-line p-3">{children}</div> : null}
    </details>
  )
}

interface OneFieldProps {
  name: string
  schema: Schema
  schemas: Schemas
  required: boolean
  value: unknown
  error: string | undefined
  onChange: (value: unknown) => void
}

function OneField({ name, schema, schemas, required, value, error, onChange }: OneFieldProps) {
  const t = useText(newTexts)
  const kind = fieldKind(schema, schemas)
  const usual = schema.default
  const placeholder = plainText(usual)
  const hint = kind === 'texts' ? t('list') : kind === 'json' ? t('oneJson') : undefined
  return (
    <Field
      label={required ? `${name} *` : name}
      hint={hint}
      error={error}
      className={kind === 'json' ? 'col-span-full' : ''}
    >
      {kind === 'choice' || kind === 'yes-no' ? (
        <Select
          value={plainText(value)}
          onChange={({ target }) =>
            onChange(target.value === '' ? undefined : choiceOf(schema, target.value))
          }
        >
          <option value="">
            {placeholder === '' ? t('byDefault') : t('defaultIs', { value: placeholder })}
          </option>
          {(schema.enum ?? [true, false]).map((each) => (
            <option key={String(each)} value={String(each)}>
              {String(each)}
            </option>
          ))}
        </Select>
      ) : kind === 'json' || isOdd(kind, value) ? (
        <JsonField value={value} onChange={onChange} />
      ) : (
        <SimpleField
          kind={kind}
          schema={schema}
          placeholder={placeholder}
          value={value}
          onChange={onChange}
        />
      )}
    </Field>
  )
}

interface SimpleFieldProps extends Pick<OneFieldProps, 'schema' | 'value' | 'onChange'> {
  kind: string
  placeholder: string
}

function SimpleField({ kind, schema, placeholder, value, onChange }: SimpleFieldProps) {
  return (
    <Input
      type={kind === 'number' ? 'number' : schema.format === 'date' ? 'date' : 'text'}
      step="any"
      min={schema.minimum}
      max={schema.maximum}
      placeholder={placeholder}
      value={shown(value)}
      onChange={({ target }) => onChange(fieldOf(kind, target.value))}
    />
  )
}

/** What the simple field could not show: it is kept as it is. */
const isOdd = (kind: string, value: unknown) =>
  typeof value === 'object' && value !== null && kind !== 'texts'

const choiceOf = (schema: Schema, text: string) =>
  (schema.enum ?? [true, false]).find((each) => String(each) === text)

const shown = (value: unknown): string => (Array.isArray(value) ? value.join(', ') : plainText(value))

function fieldOf(kind: string, text: string): unknown {
  if (text === '') return undefined
  if (kind === 'number') return Number(text)
  if (kind === 'texts')
    return text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean)
  return text
}

function JsonField({ value, onChange }: { value: unknown; onChange: (value: unknown) => void }) {
  const written = value === undefined ? '' : JSON.stringify(value)
  const [typed, setTyped] = useState<string | null>(null)
  const [isWrong, setWrong] = useState(false)
  return (
    <Textarea
      rows={Math.min(6, 1 + Math.ceil(written.length / 90))}
      className="min-h-8!"
      value={typed ?? written}
      aria-invalid={isWrong || undefined}
      onChange={({ target }) => {
        setTyped(target.value)
        try {
          onChange(target.value.trim() === '' ? undefined : JSON.parse(target.value))
          setWrong(false)
        } catch {
          setWrong(true)
        }
      }}
      onBlur={() => {
        if (!isWrong) setTyped(null)
      }}
    />
  )
}
