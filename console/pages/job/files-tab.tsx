import { useQuery } from '@tanstack/react-query'
import Download from 'lucide-react/icons/download'
import { useEffect, useState } from 'react'
import { useApi } from '../../api/context.tsx'
import { maxSaved_bytes, readFile, saveAs } from '../../api/files.ts'
import { artifactsQuery } from '../../api/job.ts'
import type { Artifact, Job } from '../../api/types.ts'
import { Asked, Problem, useOrder } from '../../parts/problem.tsx'
import { common } from '../../text/common.ts'
import { bytes } from '../../text/format.ts'
import { filesTexts } from '../../text/job.ts'
import { useLanguage, useText } from '../../text/language.tsx'
import { Button } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/states.tsx'
import { Empty } from '../../ui/states.tsx'
import { type Column, Table } from '../../ui/table.tsx'

const pathOf = (job: Job, name: string) => `/v1/jobs/${job.id}/artifacts/${encodeURIComponent(name)}`
const isShown = ({ content_type }: Artifact) => /^(text\/|application\/json|image\/)/.test(content_type)

export function FilesTab({ job }: { job: Job }) {
  const t = useText(filesTexts)
  const query = useQuery(artifactsQuery(useApi(), job.id))
  const [open, setOpen] = useState<Artifact | null>(null)
  if (open !== null) return <OpenFile job={job} file={open} onBack={() => setOpen(null)} />
  return (
    <Asked query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={t('none')}>{t('noneHint')}</Empty>
        ) : (
          <FileTable job={job} files={items} onOpen={setOpen} />
        )
      }
    </Asked>
  )
}

function FileTable({
  job,
  files,
  onOpen,
}: {
  job: Job
  files: readonly Artifact[]
  onOpen: (file: Artifact) => void
}) {
  const t = useText(filesTexts)
  const c = useText(common)
  const language = useLanguage()
  const api = useApi()
  const save = useOrder(async ({ name }: Artifact) =>
    saveAs(await readFile(api, pathOf(job, name)), name.replaceAll('/', '-')),
  )
  const columns: Column<Artifact>[] = [
    { id: 'name', head: t('name'), cell: ({ name }) => <span className="font-mono text-xs">{name}</span> },
    { id: 'size', head: t('size'), align: 'right', cell: (file) => bytes(file.bytes, language) },
    {
      id: 'type',
      head: t('type'),
      wide: true,
      cell: ({ content_type }) => <span className="text-muted">{content_type}</span>,
    },
    {
      id: 'open',
      head: <span className="sr-only">{c('actions')}</span>,
      align: 'right',
      cell: (file) => (
        <span className="flex justify-end gap-1">
          {isShown(file) ? (
            <Button small look="quiet" onClick={() => onOpen(file)}>
              {t('open')}
            </Button>
          ) : null}
          <Button
            small
            look="quiet"
            icon={<Download className="size-3.5" aria-hidden />}
            why_not={
              file.bytes > maxSaved_bytes
                ? t('tooLarge', { size: bytes(maxSaved_bytes, language), id: job.id, name: file.name })
                : null
            }
            onClick={() => save.mutate(file)}
          >
            {c('download')}
          </Button>
        </span>
      ),
    },
  ]
  return <Table columns={columns} rows={files} keyOf={({ name }) => name} label={t('name')} />
}

/** A page that a program made is shown in a frame of an origin of its own: no script of it reaches ours. */
function OpenFile({ job, file, onBack }: { job: Job; file: Artifact; onBack: () => void }) {
  const t = useText(filesTexts)
  const c = useText(common)
  const api = useApi()
  const { data, error } = useQuery({
    queryKey: ['file', job.id, file.name],
    queryFn: async () => {
      const blob = await readFile(api, pathOf(job, file.name))
      return /^(text\/html|image\/)/.test(file.content_type) ? blob : await blob.text()
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  })
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div className="flex items-center gap-3 px-4 py-2">
        <Button small onClick={onBack}>
          {t('back')}
        </Button>
        <span className="font-mono text-xs">{file.name}</span>
      </div>
      {error ? <Problem error={error} /> : null}
      {data === undefined && !error ? <Skeleton label={c('loading')} /> : null}
      {typeof data === 'string' ? (
        <pre
          className="min-h-0 flex-1 overflow-auto px-4 pb-4 font-mono text-xs whitespace-pre-wrap"
          tabIndex={0}
        >
          {pretty(data, file.content_type)}
        </pre>
      ) : data instanceof Blob ? (
        <Framed blob={data} name={file.name} />
      ) : null}
    </div>
  )
}

function Framed({ blob, name }: { blob: Blob; name: string }) {
  const [url, setUrl] = useState<string | null>(null)
  useEffect(() => {
    const made = URL.createObjectURL(blob)
    setUrl(made)
    return () => URL.revokeObjectURL(made)
  }, [blob])
  return url === null ? null : (
    <iframe src={url} title={name} sandbox="allow-scripts" className="min-h-[70vh] w-full flex-1 bg-white" />
  )
}

function pretty(text: string, type: string): string {
  if (!type.startsWith('application/json')) return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
