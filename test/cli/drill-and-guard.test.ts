/** `drill` and `guard` as processes: killed, overdue, and around an upgrade that goes wrong. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { runtimeDirectory } from '../../src/source/postgres/scratch-server/binaries.ts'
import { isProcessRunning } from '../../src/source/postgres/scratch-server/process-tree.ts'
import { runSql } from '../source/postgres/support.ts'
import { lastObject, makeSite, type Site, setUpRepository } from './cli-support.ts'

// Processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const SERVERS = join(runtimeDirectory(), 'servers')
/** Stays 101 to 112 are over. */
const FURTHER = `drill: { everyDays: 30, checks: [{ name: patients, sql: "SELECT count(*) FROM public.patient" }] }
explain: { closed: [{ table: public.icu_stay, key: stay_id, column: out_at }] }`

let site: Site

beforeAll(async () => {
  site = await makeSite(
    'ALTER TABLE icu_stay ADD COLUMN out_at timestamptz',
    "UPDATE icu_stay SET out_at = timestamptz '2026-02-01' WHERE stay_id <= 112",
  )
  await setUpRepository(site)
  const path = join(site.folder, 'chartkeep.yaml')
  const lines = FURTHER.split('\n')
  const file = readFileSync(path, 'utf8').replace(/(\n +)(url: postgres[^\n]*)/, (_, indent, url) =>
    [`${indent}${url}`, ...lines.map((line) => indent + line)].join(''),
  )
  await site.writeFile('chartkeep.yaml', file)
  await site.run(['backup'])
})

afterAll(() => site?.[Symbol.asyncDispose]())

describe('drill', () => {
  it('that nobody ever held is a finding of check, and said by status (F29)', async () => {
    const [check, status] = [await site.run(['check']), await site.run(['status'])]

    expect(check.status).toBe(60)
    expect(check.stdout).toContain('no drill has ever passed')
    expect(status.stdout).toContain('no drill has ever passed')
  })

  it('that is killed leaves no server and no rows, by its guard', async () => {
    const drill = startDrill()
    const { home, postmaster } = await serverOf(drill)
    await killed(drill)

    await vi.waitFor(() => expect(existsSync(home)).toBe(false), { timeout: 30_000 })
    expect(isProcessRunning(postmaster)).toBe(false)
  })

  it('removes what one left that was killed together with its guard, passes, and is no longer overdue', async () => {
    const drill = startDrill()
    const { home, guard, postmaster } = await serverOf(drill)
    process.kill(guard, 'SIGKILL')
    await killed(drill)
    expect([existsSync(home), isProcessRunning(postmaster)]).toEqual([true, true])

    // No moment is named, and no change was ever captured: the newest snapshot it is.
    const next = await site.run(['drill', '--json'])
    const { status, asked, deviations } = lastObject(next.stdout)
    expect([next.status, status, asked]).toEqual([0, 'passed', 'latest'])
    expect(deviations).toEqual([expect.stringContaining('no captured changes carry on')])
    expect([existsSync(home), isProcessRunning(postmaster)]).toEqual([false, false])
    expect((await site.run(['check'])).status).toBe(0)
  })
})

describe('guard', () => {
  it('counts what an upgrade did, names what it did to history, and keeps one report of it', async () => {
    const begun = await site.run(['guard', 'begin', '--reason', 'upgrade 5.2', '--json'])
    expect([begun.status, lastObject(begun.stdout).reason]).toEqual([0, 'upgrade 5.2'])
    const held = await site.run(['hold', '--list', '--json'])
    expect(begun.stdout).toContain(`"snapshot":"${lastObject(held.stdout).snapshotId}"`)
    await runSql(
      site.adminUrl,
      'DROP TABLE device_log',
      'UPDATE vital_sign SET value = value + 1 WHERE id IN (SELECT id FROM vital_sign WHERE stay_id = 105 LIMIT 3)',
      "INSERT INTO drug VALUES ('N1', 'new')",
    )
    const ended = await site.run(['guard', 'end', '--lang', 'both', '--out', 'report'])

    expect(ended.status).toBe(60)
    expect(ended.stdout).toContain('changed   public.drug: 1 inserted, 0 updated, 0 deleted')
    expect(ended.stdout).toContain('table public.vital_sign: 3 rows of closed records were changed')
    expect(ended.stdout).toContain('table public.device_log of 200 rows is gone')
    expect(ended.stdout).toContain('history   changed')
    const kinds = readdirSync(join(site.folder, 'report')).map((name) => name.slice(name.indexOf('.')))
    expect(kinds.sort()).toEqual(['.en.pdf', '.json', '.zh.pdf'])
    expect((await site.run(['hold', '--list'])).stdout).toContain('nothing is held')
    const again = await site.run(['guard', 'end'])
    expect([again.status, again.stderr]).toEqual([2, expect.stringContaining('no guard of icu is open')])
  })
})

function startDrill(): ChildProcess {
  const env = { ...process.env, ...site.environment }
  const args = ['--disable-warning=ExperimentalWarning', MAIN, 'drill', '--at', 'latest']
  return spawn(process.execPath, args, { cwd: site.folder, env, stdio: 'ignore' })
}

/** Once it runs. */
async function serverOf(drill: ChildProcess) {
  for (let tries = 0; tries < 1200 && drill.exitCode === null; tries += 1) {
    for (const name of readdirSync(SERVERS)) {
      const home = join(SERVERS, name)
      const [keeper, guard] = numbersIn(join(home, 'keepers'))
      const [postmaster] = numbersIn(join(home, 'data', 'postmaster.pid'))
      // While a password is set it is the negative number of a process that serves nobody.
      const isServer = guard !== undefined && postmaster !== undefined && postmaster > 0
      if (keeper === drill.pid && isServer) return { home, guard, postmaster }
    }
    await pause(25)
  }
  throw new Error(`the drill started no server; exit status ${drill.exitCode}`)
}

/** Of the first line; none while there is no such file. */
function numbersIn(path: string): number[] {
  if (!existsSync(path)) return []
  const [line = ''] = readFileSync(path, 'utf8').split('\n')
  return line === '' ? [] : line.split(' ').map(Number)
}

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}
