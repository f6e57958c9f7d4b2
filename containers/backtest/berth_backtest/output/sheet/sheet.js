// What the curves do beside being there: values are read out under the pointer or by the arrow keys, a stretch is zoomed into,
// and the equity is put on a log scale. Everything is drawn without this.
{
  const { dates, marks, plots } = JSON.parse(document.getElementById('curves').textContent)
  const [wide, tall, most] = [1000, 300, 1200]
  const last = dates.length - 1
  let [from, to, isLog] = [0, last, false]
  const figures = [...document.querySelectorAll('figure.curve')].map((figure) => ({
    figure,
    ...plots[figure.dataset.curve],
    field: figure.querySelector('.field'),
    ys: figure.querySelector('.ys'),
    xs: figure.querySelector('.xs'),
    values: [...figure.querySelectorAll('output b')],
    time: figure.querySelector('time'),
    part: (name) => figure.querySelector(`svg .${name}`),
  }))
  const dash = '\u2013'
  const number = (value, digits) =>
    value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  const forms = {
    money: (x) => (Math.abs(x) >= 100 ? number(x, 0) : String(Number(x.toPrecision(4)))),
    percent: (x) => `${number(x * 100, 2)} %`,
    ratio: (x) => number(x, 2),
  }
  const round = (x, digits) => String(Number(x.toPrecision(digits)))
  const ticks = {
    money: (x) =>
      x >= 1e9 ? `${round(x / 1e9, 4)}bn` : x >= 1e6 ? `${round(x / 1e6, 4)}M` : x >= 1e4 ? `${round(x / 1e3, 4)}k` : round(x, 6),
    percent: (x) => `${Number((x * 100).toFixed(1))} %`,
    ratio: (x) => round(x, 4),
  }

  /** The values at the bottom and the top of what is looked at, and where one of them is drawn. */
  const spanOf = ({ series, floor, ceiling, form }) => {
    const ends = [floor, ceiling].filter((x) => x !== null)
    let [low, high] = [Math.min(...ends, Infinity), Math.max(...ends, -Infinity)]
    for (const { values } of series)
      for (let i = from; i <= to; i++) {
        if (values[i] === null) continue
        if (values[i] < low) low = values[i]
        if (values[i] > high) high = values[i]
      }
    if (low > high) [low, high] = [0, 1]
    const log = isLog && form === 'money' && low > 0
    const [a, b] = log ? [Math.log(low), Math.log(high)] : [low, high]
    const margin = (b - a || Math.abs(b) || 1) * 0.04
    const bottom = floor !== null && low === floor ? a : a - margin
    const top = ceiling !== null && high === ceiling ? b : b + margin
    return { bottom, top, log, y: (x) => ((top - (log ? Math.log(x) : x)) / (top - bottom)) * tall }
  }
  const ticksOf = ({ bottom, top, log }) => {
    if (log) return [0.05, 0.3, 0.55, 0.8].map((at) => Number(Math.exp(bottom + (top - bottom) * at).toPrecision(2)))
    const rough = (top - bottom) / 5
    const power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 2.5, 5, 10].map((x) => x * power).find((x) => x >= rough * (1 - 1e-9))
    const found = []
    for (let i = Math.ceil(bottom / step - 1e-9); i <= Math.floor(top / step + 1e-9); i++) found.push(i * step)
    return found
  }
  const x = (at) => (to > from ? ((at - from) / (to - from)) * wide : 0)
  /** The places that are drawn: all, or the lowest and highest of each stretch. */
  const keptOf = (values) => {
    const size = Math.max(1, (to - from + 1) / (most / 2))
    if (size <= 2) return Array.from({ length: to - from + 1 }, (_, i) => from + i)
    const found = new Set([from, to])
    for (let begin = from; begin <= to; begin += size) {
      const end = Math.min(to + 1, Math.floor(begin + size))
      let [low, high] = [Math.floor(begin), Math.floor(begin)]
      for (let i = Math.floor(begin); i < end; i++) {
        if (values[i] < values[low]) low = i
        if (values[i] > values[high]) high = i
      }
      found.add(low).add(high)
    }
    return [...found].sort((a, b) => a - b)
  }
  const pathOf = (values, { y }, filled) => {
    let [path, pen] = ['', 'M']
    for (const at of keptOf(values)) {
      const value = values[at] ?? (filled ? 0 : null)
      if (value === null) {
        pen = 'M'
        continue
      }
      path += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`
      pen = 'L'
    }
    return filled && path ? `${path}V${y(0).toFixed(1)}H0Z` : path
  }
  const text = (content, place) => {
    const span = document.createElement('span')
    span.textContent = content
    span.setAttribute('style', place)
    return span
  }
  const drawn = (plot) => {
    const span = spanOf(plot)
    const found = ticksOf(span)
    plot.part('grid').setAttribute('d', found.map((value) => `M0 ${span.y(value).toFixed(1)}H${wide}`).join(''))
    plot.ys.replaceChildren(
      ...found.map((value) => text(ticks[plot.form](value), `top:${((span.y(value) / tall) * 100).toFixed(2)}%`)),
    )
    const inside = marks.filter((at) => at > from && at < to)
    plot.part('mark').setAttribute('d', inside.map((at) => `M${x(at).toFixed(1)} 0V${tall}`).join(''))
    const zero = plot.floor !== null && span.bottom < 0 && span.top > 0
    plot.part('zero').setAttribute('d', zero ? `M0 ${span.y(0).toFixed(1)}H${wide}` : '')
    const paths = [...plot.figure.querySelectorAll('svg .series, svg .other, svg .under, svg .long, svg .short')].reverse()
    plot.series.forEach(({ values, filled }, i) => paths[i]?.setAttribute('d', pathOf(values, span, filled)))
    const labels = to - from >= 8 ? 8 : 1
    plot.xs.replaceChildren(
      ...Array.from({ length: labels + 1 }, (_, i) => {
        const at = i / labels
        const span = text(dates[Math.round(from + (to - from) * at)].slice(0, 10), `left:${at * 100}%`)
        span.className = i === 0 ? 'first' : i === labels ? 'last' : i % 2 ? 'fine' : i % 4 ? 'mid' : 'half'
        return span
      }),
    )
  }
  let reading = null
  const read = (at) => {
    reading = at
    for (const plot of figures) {
      const place = at ?? to
      plot.values.forEach((value, i) => {
        const found = plot.series[i].values[place]
        value.textContent = found === null ? dash : forms[plot.form](found)
      })
      plot.time.textContent = dates[place]
      plot.part('cursor').setAttribute('d', at === null ? '' : `M${x(at).toFixed(1)} 0V${tall}`)
    }
  }
  const show = (first, end) => {
    const length = Math.min(last, Math.max(end - first, Math.min(4, last)))
    from = Math.round(Math.min(Math.max(0, first), last - length))
    to = Math.round(from + length)
    figures.forEach(drawn)
    read(null)
    for (const button of tools.querySelectorAll('[data-years]'))
      button.setAttribute('aria-pressed', String(from === beginOf(button.dataset.years) && to === last))
  }
  const zoom = (factor, at) => {
    const begin = at - (at - from) * factor
    show(begin, begin + (to - from) * factor)
  }

  /** The first date of the last years; of all of them for 0. */
  const beginOf = (years) => {
    if (Number(years) === 0) return 0
    const [year, ...rest] = dates[last].split('-')
    const first = [String(Number(year) - Number(years)), ...rest].join('-')
    return Math.max(0, dates.findIndex((date) => date >= first))
  }
  const tools = Object.assign(document.createElement('div'), { className: 'tools' })
  const button = (name, press, data = {}) => {
    const made = Object.assign(document.createElement('button'), { type: 'button', className: 'plain', textContent: name })
    Object.assign(made.dataset, data)
    made.addEventListener('click', () => press(made))
    tools.append(made)
    return made
  }
  for (const years of [1, 3, 5])
    if (beginOf(years) > 0) button(`${years} ${years === 1 ? 'year' : 'years'}`, () => show(beginOf(years), last), { years })
  button('All', () => show(0, last), { years: 0 })
  button('Log scale', (made) => {
    isLog = !isLog
    made.setAttribute('aria-pressed', String(isLog))
    figures.forEach(drawn)
  }).setAttribute('aria-pressed', 'false')
  figures[0]?.figure.before(tools)

  const help = 'arrow keys read values, plus and minus zoom, Escape shows all'
  for (const { figure, field, part } of figures) {
    let pressed = null
    const placeOf = (event) => {
      const box = field.getBoundingClientRect()
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))
      return Math.round(from + share * (to - from))
    }
    const choose = (at) => {
      const [a, b] = pressed === null ? [0, 0] : [x(Math.min(at, pressed)), x(Math.max(at, pressed))]
      part('chosen').setAttribute('x', a.toFixed(1))
      part('chosen').setAttribute('width', (b - a).toFixed(1))
    }
    field.tabIndex = 0
    field.setAttribute('role', 'group')
    field.setAttribute('aria-label', `${figure.closest('section').querySelector('h2').textContent}: ${help}`)
    field.addEventListener('pointermove', (event) => {
      read(placeOf(event))
      choose(placeOf(event))
    })
    field.addEventListener('pointerleave', () => read(null))
    // Touch reads; zooming by it is what the buttons are for.
    field.addEventListener('pointerdown', (event) => {
      if (event.pointerType === 'touch' || event.button !== 0) return
      field.setPointerCapture(event.pointerId)
      pressed = placeOf(event)
    })
    field.addEventListener('pointerup', (event) => {
      const [a, b] = [pressed, placeOf(event)]
      pressed = null
      choose(b)
      if (a !== null && Math.abs(a - b) > 2) show(Math.min(a, b), Math.max(a, b))
    })
    field.addEventListener('pointercancel', () => {
      pressed = null
      choose(0)
    })
    field.addEventListener('dblclick', () => show(0, last))
    field.addEventListener('blur', () => read(null))
    field.addEventListener('keydown', (event) => {
      const at = reading ?? to
      const step = event.shiftKey ? Math.max(1, Math.round((to - from) / 20)) : 1
      const keys = {
        ArrowLeft: () => read(Math.max(from, at - step)),
        ArrowRight: () => read(Math.min(to, at + step)),
        Home: () => read(from),
        End: () => read(to),
        '+': () => zoom(0.5, at),
        '=': () => zoom(0.5, at),
        '-': () => zoom(2, at),
        Escape: () => show(0, last),
      }
      if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return
      event.preventDefault()
      keys[event.key]()
    })
  }
  for (const made of tools.querySelectorAll('[data-years]'))
    made.setAttribute('aria-pressed', String(beginOf(made.dataset.years) === 0))
}

// A map of two parameters: a cell is read out under the pointer, or where the arrow keys go.
for (const figure of document.querySelectorAll('figure.surface')) {
  const { rows, columns, names, cells } = JSON.parse(figure.dataset.surface)
  const field = figure.querySelector('.field')
  const out = figure.querySelector('output')
  const cursor = figure.querySelector('.cursor')
  const scale = [...out.childNodes]
  let [row, column] = [0, 0]
  const read = (r, c) => {
    ;[row, column] = [Math.min(Math.max(r, 0), rows.length - 1), Math.min(Math.max(c, 0), columns.length - 1)]
    const value = cells[row * columns.length + column]
    out.textContent = `${names[0]} ${rows[row]}, ${names[1]} ${columns[column]}: ${value === null ? 'not run' : Number(value.toPrecision(4))}`
    const [wide, tall] = [1000 / columns.length, 300 / rows.length]
    for (const [name, x] of Object.entries({ x: column * wide, y: row * tall, width: wide, height: tall }))
      cursor.setAttribute(name, x.toFixed(1))
  }
  const leave = () => {
    out.replaceChildren(...scale)
    cursor.setAttribute('width', 0)
  }
  field.tabIndex = 0
  field.setAttribute('role', 'group')
  field.setAttribute('aria-label', `${names[2]} by ${names[0]} and ${names[1]}: arrow keys read values`)
  field.addEventListener('pointermove', (event) => {
    const box = field.getBoundingClientRect()
    const share = (at, begin, size) => Math.floor((at - begin) / size)
    read(share(event.clientY, box.top, box.height / rows.length), share(event.clientX, box.left, box.width / columns.length))
  })
  field.addEventListener('pointerleave', leave)
  field.addEventListener('blur', leave)
  field.addEventListener('keydown', (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    const move = moves[event.key]
    if (!move || event.ctrlKey || event.metaKey || event.altKey) return
    event.preventDefault()
    read(row + move[0], column + move[1])
  })
}
