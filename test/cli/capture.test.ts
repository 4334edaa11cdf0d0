/** `capture`, `backup` and `status` side by side as processes, over a real server. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runSql } from '../source/postgres/support.ts'
import { lastObject, makeSite, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

class CaptureProcess {
  readonly events: Record<string, unknown>[] = []
  stderr = ''
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown[]>

  constructor(site: Site) {
    const env = { ...process.env, ...site.environment }
    const args = ['--disable-warning=ExperimentalWarning', MAIN, 'capture', '--json']
    this.#child = spawn(process.execPath, args, { cwd: site.folder, env })
    this.#exited = once(this.#child, 'exit')
    let rest = ''
    this.#child.stdout!.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.events.push(JSON.parse(line))
    })
    this.#child.stderr!.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString()
    })
  }

  async saw(kind: string): Promise<void> {
    const deadline = performance.now() + 60_000
    while (!this.events.some((event) => event.kind === kind)) {
      if (performance.now() > deadline || this.#child.exitCode !== null) {
        throw new Error(`no ${kind}: ${this.stderr} ${JSON.stringify(this.events)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.#child.kill(signal)
    const [status] = await this.#exited
    return status as number | null
  }
}

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
  it('makes backups cost what changed, ends well, and goes on where it ended', async () => {
    const first = new CaptureProcess(site)
    await first.saw('connected')
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
    const again = new CaptureProcess(site)
    await again.saw('connected')
    const third = await backUp()
    expect(third).toMatchObject({ mode: 'incremental' })
    expect(again.events.some(({ kind }) => kind === 'log-begun')).toBe(false)

    await again.end('SIGTERM')
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
