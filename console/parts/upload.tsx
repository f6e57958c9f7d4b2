import { useQueryClient } from '@tanstack/react-query'
import Upload from 'lucide-react/icons/upload'
import { type SubmitEvent, useState } from 'react'
import { useApi } from '../api/context.tsx'
import { maxUpload_bytes, type UploadStep, uploadDataset } from '../api/upload.ts'
import { asProblem } from '../api/problem.ts'
import { common } from '../text/common.ts'
import { datasetTexts } from '../text/datasets.ts'
import { bytes, percent } from '../text/format.ts'
import { useLanguage, useText } from '../text/language.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog, DialogActions } from '../ui/dialog.tsx'
import { Field, Input, Select } from '../ui/field.tsx'
import { useToast } from '../ui/toast.tsx'
import { useWhyNot } from './rights.ts'

export function UploadButton({ onReady }: { onReady?: (id: string) => void }) {
  const t = useText(datasetTexts)
  const c = useText(common)
  const mayNot = useWhyNot('member')
  const [isOpen, setOpen] = useState(false)
  return (
    <>
      <Button why_not={mayNot} icon={<Upload className="size-4" aria-hidden />} onClick={() => setOpen(true)}>
        {t('upload')}
      </Button>
      <Dialog
        open={isOpen}
        onClose={() => setOpen(false)}
        title={t('upload')}
        about={t('about')}
        close_label={c('close')}
      >
        <UploadForm
          onReady={(id) => {
            setOpen(false)
            onReady?.(id)
          }}
        />
      </Dialog>
    </>
  )
}

const adjustments = ['none', 'split', 'total'] as const

function UploadForm({ onReady }: { onReady: (id: string) => void }) {
  const t = useText(datasetTexts)
  const language = useLanguage()
  const api = useApi()
  const cache = useQueryClient()
  const toast = useToast()
  const [file, setFile] = useState<File | null>(null)
  const [adjustment, setAdjustment] = useState<(typeof adjustments)[number]>('none')
  const [step, setStep] = useState<UploadStep | null>(null)
  const [error, setError] = useState<string | null>(null)
  const tooLarge =
    file !== null && file.size > maxUpload_bytes
      ? t('tooLarge', { size: bytes(maxUpload_bytes, language) })
      : null
  const noHash = globalThis.crypto.subtle === undefined ? t('noHash') : null
  const send = async (event: SubmitEvent) => {
    event.preventDefault()
    if (file === null) return
    setError(null)
    try {
      const { id } = await uploadDataset(api, { file, adjustment }, setStep)
      await cache.invalidateQueries({ queryKey: ['datasets'] })
      toast(t('ready'))
      onReady(id)
    } catch (caught) {
      const { message, errors } = asProblem(caught)
      setError([message, ...errors.map(({ path, message: what }) => `${path} ${what}`)].join(' · '))
    } finally {
      setStep(null)
    }
  }
  return (
    <form onSubmit={(event) => void send(event)} className="flex flex-col gap-4">
      <Field label={t('file')} hint={t('fileHint')} error={error ?? tooLarge ?? noHash}>
        <Input
          type="file"
          accept=".parquet,.csv"
          required
          className="h-auto! py-1"
          onChange={({ target }) => setFile(target.files?.[0] ?? null)}
        />
      </Field>
      <Field label={t('adjustment')} hint={t('adjustmentHint')}>
        <Select
          value={adjustment}
          onChange={({ target }) =>
            setAdjustment(adjustments.find((each) => each === target.value) ?? 'none')
          }
        >
          {adjustments.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </Select>
      </Field>
      <DialogActions>
        <span role="status" className="flex-1 self-center text-[13px] text-muted">
          {step === null
            ? ''
            : step.what === 'sending'
              ? t('sending', { percent: percent(step.share, language) })
              : t(step.what)}
        </span>
        <Button look="primary" type="submit" busy={step !== null} why_not={tooLarge ?? noHash}>
          {t('upload')}
        </Button>
      </DialogActions>
    </form>
  )
}
