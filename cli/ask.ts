// Asks on the terminal, or reads lines of standard input where there is none.
import { interruption } from './client.ts'
import { usageError } from './exit.ts'
import type { Io } from './io.ts'
import { write } from './text.ts'

/** Longer than any address, password or key. */
const maxLine = 4_096
const [ctrlC, ctrlD, backspace, erase] = ['\x03', '\x04', '\x08', '\x7f']

export interface Asker {
  /** The line that is typed; `hidden`: without showing it. */
  ask: (question: string, hidden?: boolean) => Promise<string>
  [Symbol.asyncDispose]: () => Promise<void>
}

export function createAsker(io: Io): Asker {
  const { stdin } = io
  const chunks = stdin[Symbol.asyncIterator]()
  const utf8 = new TextDecoder()
  let waiting: string[] = []
  const next = async (): Promise<string | null> => {
    while (waiting.length === 0) {
      const { value, done } = await chunks.next()
      if (done === true) return null
      waiting = Array.from(utf8.decode(value, { stream: true }))
    }
    return waiting.shift() ?? null
  }
  const line = async () => {
    const typed: string[] = []
    for (let key = await next(); key !== '\n' && key !== '\r'; key = await next()) {
      if (key === null && typed.length === 0) throw usageError('standard input has no such line')
      if (key === null) break
      if (stdin.isTTY && key === ctrlC) throw interruption()
      if (stdin.isTTY && key === ctrlD) break
      if (stdin.isTTY && (key === erase || key === backspace)) typed.pop()
      else if (typed.push(key) > maxLine) throw usageError(`a line has at most ${maxLine} characters`)
    }
    return typed.join('').trim()
  }
  return {
    async ask(question, hidden = false) {
      if (!stdin.isTTY) return line()
      if (!hidden) {
        await write(io.stderr, question)
        return line()
      }
      // Before the question: whoever types, or pastes, as soon as it is there would be shown.
      stdin.setRawMode?.(true)
      try {
        await write(io.stderr, question)
        return await line()
      } finally {
        stdin.setRawMode?.(false)
        await write(io.stderr, '\n')
      }
    },
    async [Symbol.asyncDispose]() {
      // An open terminal would keep the process.
      await chunks.return?.()
    },
  }
}
