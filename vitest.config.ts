import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { LongestFirst } from './scripts/support/longest-first.ts'

/**
 * Files that neither start a server nor end a process: they share processes, because starting one and loading the same
 * modules takes longer than most of them run.
 */
const TOGETHER = [
  'test/*.test.ts',
  'test/backup/retention/*.test.ts',
  'test/repository/*.test.ts',
  'test/repository/{build,fold,kernel,ledger,pack,tree}/**/*.test.ts',
  'test/service/**/{alarm,calendar,certificate,damaged-records,decide,tasks-watch,week}.test.ts',
  'test/source/**/{copy-line,relay,row-text,steps,units}.test.ts',
  'test/support/*.test.ts',
]

/**
 * Processes rather than threads: tests kill what they start, and a crash must not take other files with it. One more than
 * there are cores: each file waits for its servers, for locks and for the network a fifth of its time. Not many more,
 * since most run a PostgreSQL server of their own. The limits are for a machine that does something else besides.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/containers.ts', 'test/support/scratch-space.ts'],
    pool: 'forks',
    maxWorkers: Math.min(4, availableParallelism() + 1),
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 180_000,
    teardownTimeout: 20_000,
    // A test that says nothing has tested nothing.
    expect: { requireAssertions: true },
    passWithNoTests: false,
    projects: [
      { extends: true, test: { name: 'alone', include: ['test/**/*.test.ts'], exclude: TOGETHER } },
      { extends: true, test: { name: 'together', include: TOGETHER, isolate: false } },
    ],
  },
})
