// A chart with its name, what can be chosen of it, and the numbers behind it as a table.
import ChartIcon from 'lucide-react/icons/chart-line'
import TableIcon from 'lucide-react/icons/table-2'
import { type ReactNode, useMemo, useState } from 'react'
import { results } from '../text/results.ts'
import { useText } from '../text/language.tsx'
import { IconButton } from '../ui/button.tsx'
import { Panel } from '../ui/page.tsx'
import { Chart, type Instance, type Option } from './chart.tsx'

export interface Numbers {
  head: readonly string[]
  rows: readonly (readonly (string | number | null)[])[]
}

interface ChartPanelProps {
  title: string
  about: string
  option: Option
  numbers: () => Numbers
  height?: number
  /** Where the page is narrower it is moved sideways. */
  min_width?: number
  actions?: ReactNode
  note?: ReactNode
  onInstance?: (chart: Instance) => () => void
  className?: string
}

/** More rows than this are read from the API, not from a page. */
const most = 500

export function ChartPanel(given: ChartPanelProps) {
  const {
    title,
    about,
    option,
    numbers,
    height = 280,
    min_width,
    actions,
    note,
    onInstance,
    className,
  } = given
  const t = useText(results)
  const [isTable, setTable] = useState(false)
  return (
    <Panel
      title={title}
      className={className ?? ''}
      actions={
        <>
          {actions}
          <IconButton
            small
            label={isTable ? t('asChart', { title }) : t('asTable', { title })}
            aria-pressed={isTable}
            onClick={() => setTable(!isTable)}
          >
            {isTable ? (
              <ChartIcon className="size-4" aria-hidden />
            ) : (
              <TableIcon className="size-4" aria-hidden />
            )}
          </IconButton>
        </>
      }
    >
      {isTable ? (
        <NumbersTable numbers={numbers} label={title} height={height} />
      ) : (
        <Chart
          option={option}
          label={title}
          about={about}
          height={height}
          min_width={min_width}
          {...(onInstance === undefined ? {} : { onInstance })}
        />
      )}
      {note ? <p className="px-4 pt-1 pb-3 text-xs text-muted">{note}</p> : null}
    </Panel>
  )
}

interface NumbersTableProps {
  numbers: () => Numbers
  label: string
  height: number
}

function NumbersTable({ numbers, label, height }: NumbersTableProps) {
  const t = useText(results)
  const { head, rows } = useMemo(() => numbers(), [numbers])
  return (
    <div
      className="overflow-auto"
      style={{ maxHeight: height }}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <table className="w-full border-collapse text-[13px]">
        <thead>
          <tr className="sticky top-0 bg-surface text-xs text-muted">
            {head.map((name, at) => (
              <th
                key={name}
                scope="col"
                className={`h-8 px-4 font-medium ${at === 0 ? 'text-left' : 'text-right'}`}
              >
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, most).map((row, at) => (
            <tr key={at} className="border-t border-line">
              {row.map((cell, place) => (
                <td key={head[place]} className={`h-7 px-4 ${place === 0 ? 'text-left' : 'text-right'}`}>
                  {cell ?? '–'}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > most ? (
        <p className="px-4 py-2 text-xs text-muted">{t('moreRows', { shown: most, all: rows.length })}</p>
      ) : null}
    </div>
  )
}
