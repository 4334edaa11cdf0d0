import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/**
 * Processes rather than threads: tests kill what they start, and a crash must not take other files with it. Many files
 * run a PostgreSQL server of their own, so that more than two at a time would only wait for each other on a small
 * machine. The limits are for a machine that does something else besides.
 */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/containers.ts', 'test/support/scratch-space.ts'],
    pool: 'forks',
    maxWorkers: Math.max(1, Math.min(4, availableParallelism())),
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    // A test that says nothing has tested nothing.
    expect: { requireAssertions: true },
    passWithNoTests: false,
  },
})
