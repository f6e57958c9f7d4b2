// The health check of the server's images: whether this server can take work (GET /readyz).
import { get as getPlain } from 'node:http'
import { get as getTls } from 'node:https'

/** The engine's own bound is 5 s. */
const patience_ms = 4_000

const { BERTH_PORT = '8080', BERTH_TLS_CERT } = process.env
const isTls = BERTH_TLS_CERT?.trim()
const url = `${isTls ? 'https' : 'http'}://127.0.0.1:${BERTH_PORT}/readyz`
// Its certificate is of another name than this machine's own address.
const request = (isTls ? getTls : getPlain)(
  url,
  { timeout: patience_ms, rejectUnauthorized: false },
  (answer) => {
    answer.resume()
    process.exitCode = answer.statusCode === 200 ? 0 : 1
  },
)
request.on('timeout', () => request.destroy(new Error('no answer')))
request.on('error', () => (process.exitCode = 1))
