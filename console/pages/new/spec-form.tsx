import { useQuery } from '@tanstack/react-query'
import { useApi } from '../../api/context.tsx'
import { schemasQuery } from '../../api/schema.ts'
import { Asked } from '../../parts/problem.tsx'
import { newTexts } from '../../text/new.ts'
import { useText } from '../../text/language.tsx'
import { Field, Select } from '../../ui/field.tsx'
import { plainText, resolved, type Schema, type Schemas, type Value } from '../../ui/schema.ts'
import { SchemaForm } from '../../ui/schema-form.tsx'

interface SpecFormProps {
  spec: Value
  errors: ReadonlyMap<string, string>
  onChange: (path: readonly string[], field: unknown) => void
}

export function SpecForm({ spec, errors, onChange }: SpecFormProps) {
  const t = useText(newTexts)
  const query = useQuery(schemasQuery(useApi()))
  return (
    <Asked query={query} rows={12}>
      {(all) => {
        const schemas = all as Schemas
        const branches = branchesOf(schemas)
        const kind = typeof spec['kind'] === 'string' ? spec['kind'] : ''
        const branch = branches.get(kind) ?? [...branches.values()][0] ?? {}
        return (
          <div className="flex flex-col gap-3">
            <Field label={t('kind')} error={errors.get('kind')}>
              <Select value={kind} onChange={({ target }) => onChange(['kind'], target.value)}>
                {[...branches.keys()].map((each) => (
                  <option key={each}>{each}</option>
                ))}
              </Select>
            </Field>
            <SchemaForm
              key={kind}
              schema={branch}
              schemas={schemas}
              value={spec}
              errors={errors}
              onChange={onChange}
              without={['kind']}
            />
          </div>
        )
      }}
    </Asked>
  )
}

/** The schema of a job by its kind. */
function branchesOf(schemas: Schemas): Map<string, Schema> {
  const spec = schemas['JobSpec']
  return new Map(
    (spec?.oneOf ?? spec?.anyOf ?? []).map((branch): [string, Schema] => {
      const whole = resolved(branch, schemas)
      return [plainText(whole.properties?.['kind']?.enum?.[0]), whole]
    }),
  )
}
