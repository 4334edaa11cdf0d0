/** Capture and backups that go along the log, beside a prune that takes the log's beginning away. Over a fake database. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { forget } from '../../../src/backup/retention/forget.ts'
import { prune } from '../../../src/backup/retention/prune.ts'
import { takeSnapshot } from '../../../src/backup/snapshot.ts'
import { SEGMENT_PREFIX } from '../../../src/repository/layout.ts'
import { checkRepository } from '../../../src/verify/check.ts'
import { CaptureRig, FAST, until } from '../../support/capture-rig.ts'
import { InProcessPool } from '../../support/fake-source.ts'
import type { MemoryStore } from '../../support/memory-store.ts'
import { linesOfTables, readSnapshot } from '../../support/read-back.ts'
import { HOUR_MS, rulesOf } from './retention-sim.ts'

const DAY = Date.UTC(2026, 0, 2)
const RULES = rulesOf({ last: 2 })
const layout = {
  patient: null,
  anchors: new Map<string, string>(),
  categories: new Map<string, string>(),
  links: [],
  exclude: new Set<string>(),
}

test('backups go on along a log that was trimmed, and so does a capture that begins again', async () => {
  const rig = await CaptureRig.make()
  rig.settings = { ...FAST, sealMs: 5, progressMs: 10, heartbeatMs: 10_000 }
  delete rig.database.tables['public.log']
  const segments = () =>
    [...(rig.simulated.store as MemoryStore).objects.keys()].filter((key) => key.startsWith(SEGMENT_PREFIX)).length
  let nowMs = DAY
  const world = () => ({
    ...{ repository: rig.repository(), actor: 'test', random: randomBytes, signal: new AbortController().signal },
    ...{ nowMs: () => nowMs, sleep: async () => {} },
  })
  const backUp = async () => {
    const startMs = performance.now()
    nowMs += 60_000
    return await takeSnapshot({
      ...world(),
      sourceName: 'icu',
      source: rig.database.source(),
      layout,
      pool: new InProcessPool(rig.database.tables, rig.simulated.store),
      nowMs: () => nowMs + performance.now() - startMs,
      sleep: async (ms) => await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))),
      onProgress: () => {},
    })
  }
  const connected = async () => {
    const session = rig.start()
    await until(() => session.events.some(({ kind }) => kind === 'connected'))
    return session
  }

  const session = await connected()
  for (let round = 0; round < 6; round += 1) {
    rig.database.insert('public.drug', `D${round}`)
    await backUp()
  }
  const before = segments()
  await forget({ ...world(), sourceName: 'icu', rules: RULES })
  const request = { ...world(), rules: new Map([['icu', RULES]]), graceMs: HOUR_MS }
  expect((await prune(request)).marksLogs).toHaveLength(1)
  const backupsMs = nowMs
  nowMs += 2 * HOUR_MS
  const { trims, removes } = await prune(request)
  expect(trims).toHaveLength(1)
  expect(segments()).toBe(before - removes.filter(({ kind }) => kind === 'segment').length)
  expect(segments()).toBeLessThan(before)

  nowMs = backupsMs
  rig.database.insert('public.drug', 'behind the trim')
  expect((await backUp()).mode).toBe('incremental')
  await session.kill()
  const again = await connected()
  rig.database.insert('public.drug', 'captured anew')
  const last = await backUp()
  expect(last.mode).toBe('incremental')
  expect(await readSnapshot(rig.repository(), last.snapshot)).toEqual(linesOfTables(rig.database.tables))
  const looked = await checkRepository({ ...world(), repository: rig.repository() })
  expect(looked.findings).toEqual([])
  await again.stop()
}, 60_000)
