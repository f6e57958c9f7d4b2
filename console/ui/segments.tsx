/** One of a few, all in sight. */
export function Segments<Id extends string>({
  label,
  choices,
  chosen,
  onChoose,
}: {
  label: string
  choices: readonly (readonly [Id, string])[]
  chosen: Id
  onChoose: (id: Id) => void
}) {
  return (
    <div role="radiogroup" aria-label={label} className="flex rounded-md border border-line bg-sunken p-0.5">
      {choices.map(([id, text]) => (
        <label
          key={id}
          className={`flex h-7 flex-1 cursor-pointer items-center justify-center rounded px-3 text-[13px] has-focus-visible:outline-2 has-focus-visible:outline-accent ${id === chosen ? 'bg-surface font-medium shadow-xs' : 'text-muted'}`}
        >
          <input
            type="radio"
            name={label}
            className="sr-only"
            checked={id === chosen}
            onChange={() => onChoose(id)}
          />
          {text}
        </label>
      ))}
    </div>
  )
}
