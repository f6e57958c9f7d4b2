// The example adapter with its fake: `npx --no berth provider-test test/support/example-subject.ts` tries it.
import { createExampleProvider, type ExampleOptions } from '../../docs/example-adapter.ts'
import { requestFor, type Subject } from '../../providers/conformance/subject.ts'
import { exampleKey, openExample } from '../fakes/example.ts'

export const subject: Subject = {
  name: 'example',
  async open() {
    const fake = await openExample()
    const options: ExampleOptions = {
      account: 'desk',
      installation: '4q7k2mzz',
      url: fake.url,
      key: exampleKey,
      call_ms: 20_000,
    }
    const registry = {
      server: 'registry.example.com',
      username: 'desk',
      password: 'the-password-of-the-registry',
    }
    const deadline_at = new Date(fake.now() + 3_600_000).toISOString()
    const [offer] = await createExampleProvider(options).offers(AbortSignal.timeout(60_000))
    if (!offer) throw new Error('no shape')
    return {
      provider: () => createExampleProvider(options),
      request: (attempt_id) =>
        requestFor(attempt_id, offer, { deadline_at, installation: options.installation, image: 'work:1' }),
      secrets: [exampleKey],
      pass: fake.pass,
      patience_ms: 60_000,
      back: {
        ...fake.back,
        registry,
        hurry: () => (options.call_ms = 500),
        stranger: () => createExampleProvider({ ...options, key: 'wrong' }),
      },
      close: fake.close,
    }
  },
}
