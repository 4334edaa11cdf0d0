/**
 * The demo as a newcomer runs it, on a small database; and its parts that must not call something equal, replace
 * something of somebody's, or pass over a step that failed.
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { prepareOutputDirectory } from '../../scripts/demo/output-directory.ts'
import { renderPage } from '../../scripts/demo/page.ts'
import { isEqualThen } from '../../scripts/demo/page-moment.ts'
import type { DemoResult, TableResult } from '../../scripts/demo/result.ts'
import { StepFailed, Story } from '../../scripts/demo/story.ts'
import { isEqual } from '../../scripts/demo/tables.ts'
import { failureOf } from '../source/postgres/support.ts'

// Many processes, each of which waits its turn on a small machine that does something else besides.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 })

const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url))
const SMALL_ROWS = 20_000

interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

let scratch: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'chartkeep-demo-'))
})

afterAll(() => rm(scratch, { recursive: true, force: true }))

describe('npm run demo', () => {
  let directory: string
  let ended: Ended
  let result: DemoResult
  let page: string

  beforeAll(async () => {
    directory = join(scratch, 'a place with spaces')
    ended = await runDemo(['--out', directory, '--rows', String(SMALL_ROWS), '--ward-seconds', '1'])
    expect(ended.stderr).toBe('')
    result = JSON.parse(await readFile(join(directory, 'results', 'demo.json'), 'utf8'))
    page = await readFile(join(directory, 'report.html'), 'utf8')
  })

  it('ends by itself with every step passed', () => {
    expect(ended.status).toBe(0)
    expect(ended.stdout).toContain('every step passed')
    expect([result.check, result.scrub, result.compare].map(({ status }) => status)).toEqual([
      'passed',
      'passed',
      'passed',
    ])
  })

  it('stores less the second time, of a database at which the ward worked both times', () => {
    expect(result.base.mode).toBe('base')
    expect(result.second.mode).toBe('incremental')
    expect(result.second.bytesRead).toBeLessThan(result.base.bytesRead / 2)
    expect(result.second.bytesStored).toBeLessThan(result.base.bytesStored)
    expect(result.shifts.base.report.actions).toBeGreaterThan(0)
    expect(result.tables.some((table) => table.changed)).toBe(true)
  })

  it('shows each table equal by rows, by roots and by what PostgreSQL says', () => {
    expect(result.tables.length).toBe(result.second.tables)
    expect(result.tables.filter((table) => !isEqual(table))).toEqual([])
  })

  it('rebuilds a moment between the snapshots, as PostgreSQL saw it then', () => {
    const { tables, restore } = result.moment
    const known = tables.filter(({ isAsOfSnapshot }) => !isAsOfSnapshot)

    expect(restore.plan?.log?.segments).toBeGreaterThan(0)
    expect(known.length).toBeGreaterThan(tables.length / 2)
    expect(known.filter((table) => !isEqualThen(table))).toEqual([])
    // Otherwise it may have been the one snapshot or the other.
    const atTheEnd = new Map(result.tables.map((table) => [table.name, table.md5Source]))
    const elsewhere = tables.filter(({ table, md5Then }) => atTheEnd.get(table.replaceAll('"', '')) !== md5Then)
    expect(elsewhere.length).toBeGreaterThan(0)
    expect(result.capture.changes).toBeGreaterThan(0)
  })

  it('puts one patient back after an accident', () => {
    const { inserted, updated } = result.patient
    expect([inserted > 0, updated > 0]).toEqual([true, true])
    expect(page).toContain('事故后的单个患者')
  })

  it('leaves everything that it speaks of', async () => {
    const names = await readdir(directory)

    expect(names).toEqual(
      expect.arrayContaining([
        'chartkeep.yaml',
        'checkpoint.txt',
        'passphrase',
        'plan.html',
        'recovery-sheet.txt',
        'report.html',
        'repository',
        'results',
        'setup.sql',
      ]),
    )
  })

  it('leaves a page that loads nothing from anywhere, in two languages', () => {
    expect(page).not.toMatch(/\b(src|href)=|url\(|@import|<script/)
    expect(page).toContain('the rebuilt database is the one that was backed up')
    expect(page).toContain('重建的数据库与备份时的数据库完全一致')
    for (const table of result.tables) expect(page).toContain(table.rootSnapshot.slice(0, 10))
  })

  it('leaves no server behind', async () => {
    const port = Number(/on port (\d+)/.exec(ended.stdout)?.[1])

    await expect(connectTo(port)).rejects.toThrow('ECONNREFUSED')
  })
})

describe('what lies there before', () => {
  it('is replaced when an earlier demo made it', async () => {
    const directory = join(scratch, 'earlier')
    await prepareOutputDirectory(directory)
    await writeFile(join(directory, 'report.html'), 'old')

    await prepareOutputDirectory(directory)

    expect(await readdir(directory)).not.toContain('report.html')
  })

  it('stays as it was when no demo made it', async () => {
    const directory = join(scratch, 'own')
    await mkdir(directory)
    await writeFile(join(directory, 'thesis.txt'), 'mine')

    const failure = await failureOf(() => prepareOutputDirectory(directory))

    expect(failure.code).toBe('bad-usage')
    expect(failure.hints.join()).toContain('--out')
    expect(await readFile(join(directory, 'thesis.txt'), 'utf8')).toBe('mine')
  })

  it('may be a file, which is said', async () => {
    const file = join(scratch, 'file')
    await writeFile(file, '')

    const failure = await failureOf(() => prepareOutputDirectory(file))

    expect(failure.message).toContain('ENOTDIR')
  })
})

describe('a step that fails', () => {
  it('ends the demo with the status of its command, and its words', async () => {
    const story = new Story({}, () => {})

    const failed = await stepFailureOf(() => story.types('init', ['init', '--config', join(scratch, 'none.yaml')]))

    expect(failed.step).toBe('init')
    expect(failed.exitStatus).toBe(3)
    expect(failed.message).toContain('error bad-configuration: no configuration at')
    expect(story.steps).toEqual([])
  })

  it('is named when the database server cannot be had', async () => {
    const directory = join(scratch, 'no-server')
    const notADirectory = join(scratch, 'not-a-directory')
    await writeFile(notADirectory, '')

    const ended = await runDemo(['--out', directory], { TMPDIR: notADirectory })

    expect(ended.status).not.toBe(0)
    expect(ended.stderr).toContain('The demo failed at: Start a PostgreSQL server')
    expect(await readdir(directory)).not.toContain('report.html')
  })
})

describe('a table of the result', () => {
  const table: TableResult = {
    name: 'public.vital_sign',
    category: '生命体征',
    rowsBase: 1,
    rowsSecond: 2,
    changed: true,
    rowsSource: 2,
    rowsRebuilt: 2,
    rootSnapshot: 'aa',
    rootRebuilt: 'aa',
    locatorEqual: true,
    md5Source: 'bb',
    md5Rebuilt: 'bb',
  }

  it('is equal when all agree', () => {
    expect(isEqual(table)).toBe(true)
  })

  it.each([
    { rowsSource: 3 },
    { rowsRebuilt: 1 },
    { rootRebuilt: 'ab' },
    { rootRebuilt: null },
    { locatorEqual: false },
    { md5Rebuilt: 'bc' },
    { md5Source: '', md5Rebuilt: '' },
  ])('is not equal when one differs: %o', (difference) => {
    expect(isEqual({ ...table, ...difference })).toBe(false)
  })

  it('cannot become markup of the page by its name', () => {
    const page = renderPage({ ...resultOf([{ ...table, name: 'public."<b onclick=x>"' }]) })

    expect(page).not.toContain('<b onclick')
    expect(page).toContain('public.&#34;&#60;b onclick=x&#62;&#34;')
  })
})

function resultOf(tables: readonly TableResult[]): DemoResult {
  const snapshot = {
    type: 'snapshot' as const,
    snapshot: 's',
    mode: 'base',
    modeReason: '',
    rows: 2,
    tables: 1,
    bytesRead: 10,
    bytesStored: 5,
    leavesStored: 1,
    leavesReused: 0,
    seconds: 1,
  }
  const shift = { startSeconds: 0, endSeconds: 1, report: { actions: 1, done: {}, idle: {}, errors: {}, seconds: 1 } }
  const restore = {
    type: 'restore' as const,
    snapshot: 's',
    rows: 2,
    tables: 1,
    secondsUsable: 1,
    secondsProof: 1,
    seconds: 2,
    verified: true as const,
    skipped: [],
  }
  const verification = { status: 'passed' as const, findings: [], looked: {} }
  return {
    startedAt: '2026-03-01T06:00:00.000Z',
    seconds: 2,
    machine: { cores: 2, processor: 'a processor', system: 'a system' },
    versions: { chartkeep: '0', node: 'v24', postgres: '18' },
    seed: 1,
    databaseBytes: 100,
    repositoryBytes: 10,
    steps: [],
    patient: { inserted: 7, updated: 120, seconds: 1 },
    shifts: { base: shift, before: shift, behind: shift },
    base: snapshot,
    second: snapshot,
    check: verification,
    scrub: verification,
    compare: verification,
    restore,
    moment: { at: '2026-03-01T06:00:00.000000Z', restore, tables: [] },
    capture: { tables: 1, segments: 1, transactions: 1, changes: 1, textBytes: 1, lagSecondsMax: 1 },
    tables,
    notHeld: [],
    checkpoint: '',
    ledgerVerdict: '',
  }
}

async function stepFailureOf(work: () => Promise<unknown>): Promise<StepFailed> {
  try {
    await work()
  } catch (error) {
    if (error instanceof StepFailed) return error
    throw error
  }
  throw new Error('it was expected to fail, and did not')
}

async function connectTo(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
}

function runDemo(options: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', 'scripts/demo.ts', ...options],
      { cwd: CHECKOUT, env: { ...process.env, ...environment }, timeout: 280_000 },
      (error, stdout, stderr) =>
        resolve({ status: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr }),
    )
  })
}
