import { fileURLToPath } from 'node:url'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Where `npm run dev:console` finds the API. */
const server = process.env['BERTH_URL'] ?? 'http://127.0.0.1:8080'
const api = ['/v1', '/openapi.json', '/reference']

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [react(), tailwindcss()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    // Charts are one lazy chunk of their own; the first load is measured by `npm run bench -- console`.
    chunkSizeWarningLimit: 1_200,
    // The Content-Security-Policy lets no data: scripts or styles in.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { fs: { allow: ['..'] }, proxy: Object.fromEntries(api.map((path) => [path, server])) },
})
