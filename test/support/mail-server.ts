// A mail server that says what it was told.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'

/** As little of RFC 5321 as a mail needs; `refuses`: whom it does not know. */
export async function mailServer(refuses: string | null = null) {
  const heard: string[] = []
  const server = createServer((socket) => {
    const say = (line: string) => socket.write(`${line}\r\n`)
    // Who hangs up in the middle does not hear the rest.
    socket.on('error', () => undefined)
    let inData = false
    say('220 mail.test')
    createInterface(socket).on('line', (line) => {
      heard.push(line)
      if (inData && line !== '.') return
      if (inData) {
        inData = false
        say('250 taken')
      } else if (line === 'DATA') {
        inData = true
        say('354 go on')
      } else if (refuses !== null && line.includes(refuses)) say('550 nobody here')
      else if (line === 'QUIT') socket.end('221 bye\r\n')
      else say('250 mail.test')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `smtp://127.0.0.1:${port}`, heard, [Symbol.dispose]: () => void server.close() }
}
