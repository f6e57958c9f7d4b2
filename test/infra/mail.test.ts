// Mails by SMTP, to a server that says what it was told.
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { createMailer } from '../../infra/mail.ts'

/** As little of RFC 5321 as a mail needs; `refuses`: whom it does not know. */
async function mailServer(refuses: string | null = null) {
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

const mail = {
  to: 'ada@example.com',
  subject: 'Choose a new password for Berth',
  text: 'Here:\n\nhttps://x/#token=abc',
}

test('a mail arrives with its link, from whom the server is set to', async () => {
  using server = await mailServer()
  const send = createMailer({ smtp_url: server.url, from: 'Berth <berth@example.com>' })
  await send(mail)
  expect(server.heard).toEqual(
    expect.arrayContaining([
      'MAIL FROM:<berth@example.com>',
      'RCPT TO:<ada@example.com>',
      'Subject: Choose a new password for Berth',
      'https://x/#token=abc',
    ]),
  )
})

test('a name cannot add a header or another person', async () => {
  using server = await mailServer()
  const send = createMailer({ smtp_url: server.url, from: 'berth@example.com' })
  await send({ ...mail, subject: 'Project x\r\nBcc: eve@example.com' })
  expect(server.heard.filter((line) => line.startsWith('RCPT'))).toEqual(['RCPT TO:<ada@example.com>'])
  expect(server.heard).not.toContain('Bcc: eve@example.com')
})

test('a password is not sent to a server that speaks no TLS', async () => {
  using server = await mailServer()
  const smtp_url = server.url.replace('://', '://berth:hunter2@')
  await expect(createMailer({ smtp_url, from: 'berth@example.com' })(mail)).rejects.toThrow()
  expect(server.heard.some((line) => line.startsWith('AUTH') || line.startsWith('MAIL'))).toBe(false)
})

test('a mail that is refused, and a server that is not there, are errors', async () => {
  using server = await mailServer('ada@example.com')
  const from = 'berth@example.com'
  await expect(createMailer({ smtp_url: server.url, from })(mail)).rejects.toThrow('nobody here')
  server[Symbol.dispose]()
  await expect(createMailer({ smtp_url: 'smtp://127.0.0.1:1', from })(mail)).rejects.toThrow()
})
