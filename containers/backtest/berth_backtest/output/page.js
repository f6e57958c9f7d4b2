'use strict'
// The switch between dark and light: what the reader's system says, until it is pressed. Nothing is kept: a page from disk
// or in a sandbox has nowhere to keep it.
{
  const root = document.documentElement
  const system = matchMedia('(prefers-color-scheme: dark)')
  const button = Object.assign(document.createElement('button'), { type: 'button', className: 'plain theme' })
  const isDark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark'
  const name = () => {
    button.textContent = isDark() ? 'Light' : 'Dark'
    button.setAttribute('aria-label', `Switch to ${isDark() ? 'light' : 'dark'} colours`)
  }
  button.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark'
    name()
  })
  system.addEventListener('change', name)
  name()
  document.querySelector('main').prepend(button)
}
// Tables are sorted by the buttons of their heads.
for (const table of document.querySelectorAll('table.sortable')) {
  table.querySelectorAll('thead th').forEach((head) => {
    const column = head.cellIndex
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: head.textContent })
    head.replaceChildren(button)
    // The whole head takes the pointer; the button is for the keyboard, and its click arrives here too.
    head.addEventListener('click', () => {
      const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1
      for (const other of table.querySelectorAll('thead th')) other.removeAttribute('aria-sort')
      head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending')
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)]
        const [n, m] = [Number(x), Number(y)]
        return sign * (isNaN(n) || isNaN(m) ? x.localeCompare(y) : n - m)
      })
      table.tBodies[0].append(...rows)
    })
  })
}
