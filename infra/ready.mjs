// The health check of the server's images: whether this server can take work (GET /readyz).
/** The engine's own bound is 5 s. */
const patience_ms = 4_000

const url = `http://127.0.0.1:${process.env.BERTH_PORT ?? 8080}/readyz`
try {
  const { ok } = await fetch(url, { signal: AbortSignal.timeout(patience_ms) })
  process.exitCode = ok ? 0 : 1
} catch {
  process.exitCode = 1
}
