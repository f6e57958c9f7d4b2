import type { ReactNode } from 'react'

export interface Column<Row> {
  id: string
  head: ReactNode
  cell: (row: Row) => ReactNode
  align?: 'right'
  /** Hidden where the window is narrow. */
  wide?: boolean
}

/** A plain table for lists of hundreds; thousands are virtual. */
export function Table<Row>({
  columns,
  rows,
  keyOf,
  label,
}: {
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  label: string
}) {
  const at = ({ align, wide }: Column<Row>) =>
    `${align === 'right' ? 'text-right whitespace-nowrap' : 'text-left'} ${wide ? 'hidden md:table-cell' : ''}`
  return (
    <div className="relative overflow-x-auto" tabIndex={0} role="region" aria-label={label}>
      <table className="w-full border-collapse text-[13px]">
        <thead>
          <tr className="border-b border-line text-xs text-muted">
            {columns.map((column) => (
              <th
                key={column.id}
                scope="col"
                className={`h-8 px-3 font-medium whitespace-nowrap first:pl-4 last:pr-4 ${at(column)}`}
              >
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} className="border-b border-line last:border-0 hover:bg-sunken">
              {columns.map((column) => (
                <td
                  key={column.id}
                  className={`h-9 px-3 py-1 align-middle first:pl-4 last:pr-4 ${at(column)}`}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
