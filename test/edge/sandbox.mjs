// A sandbox of AWS Lambda for one bundle: takes events as lines on standard input, one at a time, and tells what the function streams.
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'

const tell = (told) => process.stdout.write(`${JSON.stringify(told)}\n`)

/** What Node's runtime there gives: https://docs.aws.amazon.com/lambda/latest/dg/config-rs-write-functions.html */
globalThis.awslambda = {
  streamifyResponse: (handler) => handler,
  HttpResponseStream: {
    from(stream, prelude) {
      tell({ prelude })
      return stream
    },
  },
}
const { handler, scheduled } = await import(process.argv[2])
tell({ ready: true })

for await (const line of createInterface({ input: process.stdin })) {
  const event = JSON.parse(line)
  try {
    if (event.source === 'aws.events') await scheduled(event, {})
    else {
      const stream = new Writable({
        write(chunk, encoding, done) {
          tell({ chunk: Buffer.from(chunk, encoding).toString('base64') })
          done()
        },
      })
      await handler(event, stream, { awsRequestId: '5b0c2e3e', getRemainingTimeInMillis: () => 60_000 })
    }
    tell({ ended: true })
  } catch (error) {
    tell({ ended: true, failed: String(error?.stack ?? error) })
  }
}
