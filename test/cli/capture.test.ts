/** `capture`, `backup` and `status` side by side as processes, over a real server. */
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runSql } from '../source/postgres/support.ts'
import { nicenessOf } from '../support/niceness.ts'
import { CaptureProcess } from './capture-process.ts'
import { lastObject, makeSite, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

let site: Site
beforeAll(async () => {
  site = await makeSite(`ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'`, 'SELECT pg_reload_conf()')
  await setUpRepository(site)
})
afterAll(() => site?.[Symbol.asyncDispose]())

async function backUp(): Promise<Record<string, unknown>> {
  const ended = await site.run(['backup', '--json'])
  if (ended.stdout === '') throw new Error(`backup ended ${ended.status}: ${ended.stderr}`)
  expect(ended.stderr).toBe('')
  return lastObject(ended.stdout)
}

describe('capture as a process', () => {
  it.runIf(process.platform === 'linux')(
    'lets the application have the processor first, with all its threads',
    async () => {
      await using capture = await CaptureProcess.start(site)
      const niceness = await nicenessOf(capture.pid)

      expect(niceness.length).toBeGreaterThan(4)
      expect(niceness.every((nice) => nice >= 10)).toBe(true)
    },
  )

  it('makes backups cost what changed, ends well, and goes on where it ended', async () => {
    await using first = await CaptureProcess.start(site)
    const base = await backUp()
    expect(base).toMatchObject({ mode: 'base', tablesFolded: 0 })
    expect(base.log).not.toBeNull()

    await runSql(site.adminUrl, `INSERT INTO drug VALUES ('X1', 'before the kill')`)
    const second = await backUp()
    expect(second).toMatchObject({ mode: 'incremental' })
    expect(second.modeReason).toContain('public.device_log (no primary key')

    const status = await site.run(['status', '--max-age', '10m', '--json'])
    expect(status.status).toBe(0)
    expect(lastObject(status.stdout)).toMatchObject({
      snapshot: { snapshot: second.snapshot, carriesOn: true },
      slot: { active: true },
      coarse: [{ table: 'public.device_log' }],
      gaps: [],
      notAsked: [],
    })

    expect(await first.end('SIGTERM')).toBe(0)
    expect(first.events.at(-1)).toMatchObject({ kind: 'stopped' })
    await runSql(site.adminUrl, `UPDATE vital_sign SET value = 1 WHERE id <= 5`, `DELETE FROM note WHERE note_id = 7`)
    await using again = await CaptureProcess.start(site)
    const third = await backUp()
    expect(third).toMatchObject({ mode: 'incremental' })
    expect(again.events.some(({ kind }) => kind === 'log-begun')).toBe(false)

    await again.end('SIGTERM')
    // Kept until the capture's end; on a quick machine the next command has asked before that is a second ago.
    await setTimeout(1_100)
    const late = await site.run(['status', '--max-age', '1s', '--json'])
    expect(late.status).toBe(62)
    expect(lastObject(late.stderr)).toMatchObject({ code: 'protection-late' })
  })

  it('that nobody runs is no reason for silence: the status says so, also while the database is down', async () => {
    const full = await site.run(['backup', '--json'])
    expect(lastObject(full.stdout)).toMatchObject({ mode: 'full-read' })
    expect(lastObject(full.stdout).modeReason).toContain('capture is not running')

    await site.server.stop()
    const status = await site.run(['status', '--json'])
    expect(status.status).toBe(0)
    const { notAsked, slot, protectedUntil } = lastObject(status.stdout)
    expect(notAsked).toEqual([expect.stringContaining('the database: ')])
    expect(slot).toBeNull()
    expect(protectedUntil).not.toBeNull()
  })
})
