import { existsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

const globalSetup = './test/support/global-setup.ts'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: existsSync(globalSetup) ? [globalSetup] : [],
    // Bounds against a hang and not promises of speed: CI machines are slow and shared.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    coverage: {
      provider: 'v8',
      include: ['functions/**/*.ts', 'jobs/**/*.ts', 'providers/**/*.ts', 'infra/*.ts', 'cli/**/*.ts'],
      reporter: ['text', 'json-summary', 'html'],
      reportsDirectory: 'coverage/typescript',
      thresholds: { lines: 90 },
    },
  },
})
