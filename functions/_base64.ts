import { AppError } from '../jobs/errors.ts'

/** Bytes from base64 with line ends, as they come. Errors the stream with AppError invalid_request. */
export function fromBase64(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  const decoder = new TextDecoder()
  let rest = ''
  let isPadded = false
  return new TransformStream({
    transform(block, controller) {
      const text = rest + decoder.decode(block, { stream: true }).replace(/[\r\n]/g, '')
      const whole = text.length - (text.length % 4)
      rest = text.slice(whole)
      const part = text.slice(0, whole)
      if (part === '') return
      if (isPadded || !/^[A-Za-z0-9+/]*={0,2}$/.test(part)) throw refused
      isPadded = part.endsWith('=')
      controller.enqueue(Uint8Array.from(atob(part), (char) => char.charCodeAt(0)))
    },
    flush() {
      if (rest !== '') throw refused
    },
  })
}

const refused = new AppError('invalid_request', 'The body is not base64.')
