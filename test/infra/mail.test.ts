// Mails by SMTP, to a server that says what it was told.
import { expect, test } from 'vitest'
import { createMailer } from '../../infra/mail.ts'
import { mailServer } from '../support/mail-server.ts'

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
