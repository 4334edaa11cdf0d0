/**
 * The second reader on change logs: it reads what the program wrote, byte for byte, proves the chain, says where it does
 * not hold, and lets no value of a row out but into the files that were asked for.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ChangeLogWriter } from '../../src/repository/change-log/writer.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { initRepository } from '../../src/repository/repository-lifecycle.ts'
import { createStore } from '../../src/repository/store/open.ts'
import { seededRandom } from '../repository/tree/support.ts'
import { LOG_TABLES, LOG_WORLD, logStart, segmentDraft, transactionAt } from '../support/change-log.ts'
import { forgeSnapshot } from '../support/forge.ts'
import { GOLDEN } from '../support/golden.ts'
import { loadLogPatterns, MUTATION_KINDS, mutate } from '../support/mutations.ts'
import { runRescue } from '../support/run-rescue.ts'

const SEED = Number(process.env.CHARTKEEP_SEED ?? Date.now() % 2 ** 31)

let directory: string
let repository: Repository
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'chartkeep-log-'))
  const bytes = randomBytes(64)
  await writeFile(join(directory, 'key-file'), bytes)
  const settings = { url: `file://${join(directory, 'repository')}` }
  const made = await initRepository(await createStore(settings), settings, [{ kind: 'key-file', bytes }], LOG_WORLD)
  repository = made.repository
})
afterEach(async () => {
  await repository[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

async function rescue(...options: readonly string[]) {
  const where = ['--repo', join(directory, 'repository'), '--key-file', join(directory, 'key-file')]
  return await runRescue(...where, ...options)
}

/** Two logs; the second holds a transaction in two parts, every kind of change, and a table that was closed. */
async function twoLogs(): Promise<string> {
  const first = await ChangeLogWriter.begin(repository, logStart(), LOG_WORLD)
  const previousLog = { logId: first.start.logId, reason: 'the slot was lost', end: 1000n }
  const writer = await ChangeLogWriter.begin(repository, logStart({ previousLog }), LOG_WORLD)
  const [sign, note] = [LOG_TABLES[0]!, LOG_TABLES[1]!]
  const giant = transactionAt(1000n, 4)
  await writer.append(
    segmentDraft(1000n, { transactions: [{ ...giant, changes: giant.changes.slice(0, 3) }], unfinished: true }),
  )
  const mixed = transactionAt(1010n, 0, {
    mark: 'changeset 7',
    changes: [
      { kind: 'update', table: sign, before: null, after: Buffer.from('1\t\\u\t心率') },
      { kind: 'update', table: note, before: Buffer.from('1\t\\u'), after: Buffer.from('2\told') },
      { kind: 'delete', table: note, before: Buffer.from('2\t\\u'), after: null },
      { kind: 'truncate', table: note, before: null, after: null },
    ],
  })
  const closed = [{ table: 'public.note', reason: 'its definition changed' }]
  const rest = { ...giant, changes: giant.changes.slice(3) }
  await writer.append(segmentDraft(1020n, { transactions: [rest, mixed], continues: true, closed, leaseToken: 3 }))
  await writer.append(segmentDraft(1030n, { leaseToken: 4 }))
  return writer.start.logId
}

describe('the second reader lists change logs', () => {
  test('segment by segment, with nothing of the rows', async () => {
    const logId = await twoLogs()

    const run = await rescue('--log')

    expect(run).toMatchObject({ status: 0, stderr: '' })
    expect(run.stdout.split('\n').slice(-8)).toEqual([
      `log ${logId}  icu  from 0/3E8  2026-01-01T00:00:00.000Z`,
      expect.stringMatching(/^ {2}in place of .*, which ended at 0\/3E8: the slot was lost$/),
      '  0000000000  0/3E8 to 0/3E8  2026-01-01T00:00:05.000Z  1 transactions  3 changes  unfinished',
      '  0000000001  0/3E8 to 0/3FC  2026-01-01T00:00:05.000Z  2 transactions  5 changes  continues',
      '    closes public.note: its definition changed',
      '  0000000002  0/3FC to 0/406  2026-01-01T00:00:05.000Z  0 transactions  0 changes',
      '  3 segments, to 0/406',
      '',
    ])
  })

  test('and writes every change where it was told to, for nobody else to read', async () => {
    const logId = await twoLogs()
    const out = join(directory, 'out')

    expect(await rescue('--log', '--out', out)).toMatchObject({ status: 0, stderr: '' })

    expect(await readdir(out)).toContain(`${logId}.changes`)
    const path = join(out, `${logId}.changes`)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const at = (lsn: string, us: number, xid: number, part: string) =>
      `${lsn}\t2026-01-01T00:00:00.00${us}Z\t${xid}\t${part}\t`
    const giant = (part: string, row: number) =>
      `${at('0/3E8', 1000, 1000, part)}insert\tpublic.vital_sign\tafter\t1000${row}\tP1\t36.6`
    const mixed = at('0/3F2', 1010, 1010, 'whole')
    expect((await readFile(path, 'utf8')).split('\n')).toEqual([
      ...[0, 1, 2].map((row) => giant('first', row)),
      giant('last', 3),
      `${mixed}update\tpublic.vital_sign\tafter\t1\t\\u\t心率`,
      `${mixed}update\tpublic.note\tbefore\t1\t\\u`,
      `${mixed}update\tpublic.note\tafter\t2\told`,
      `${mixed}delete\tpublic.note\tbefore\t2\t\\u`,
      `${mixed}truncate\tpublic.note\t-`,
      '',
    ])
  })

  test('and says where one is broken, and goes on behind it', async () => {
    const logId = await twoLogs()
    const segment = (number: number) => join(directory, 'repository/segments', logId, `000000000${number}`)
    const whole = await readFile(segment(1))

    await writeFile(segment(1), Buffer.from(whole).fill(0, 60, 64))
    const damaged = await rescue('--log')
    expect(damaged.status).toBe(1)
    expect(damaged.stderr).toContain(`segments/${logId}/0000000001 does not decrypt`)
    expect(damaged.stdout).toContain('  0000000002  ')

    await rm(segment(1))
    const missing = await rescue('--log')
    expect(missing.status).toBe(1)
    expect(missing.stderr).toContain(`change log ${logId}: segments 1 to 1 are missing`)

    await writeFile(segment(1), whole)
    await writeFile(segment(2), whole)
    expect((await rescue('--log')).stderr).toContain(`segments/${logId}/0000000002 does not decrypt`)
    expect(`${damaged.stderr}${missing.stderr}${damaged.stdout}`).not.toMatch(/36\.6|心率/)
  })

  test('and complains of any damage to one, in its own words and with nothing of the rows', async () => {
    const patterns = await loadLogPatterns()
    const random = seededRandom(SEED)
    const names = [...patterns.golden.keys()].filter((name) => /^(logs|segments)\//.test(name))
    for (const [index, kind] of MUTATION_KINDS.entries()) {
      const name = names[Math.floor(random() * names.length)]!
      const folder = join(directory, `damaged-${index}`)
      const objects = mutate(patterns, name, kind, random) ?? patterns.golden
      await mkdir(join(folder, '+tmp'), { recursive: true })
      for (const [key, bytes] of objects) {
        await mkdir(dirname(join(folder, key)), { recursive: true })
        await writeFile(join(folder, key), bytes)
      }
      const run = await runRescue('--repo', folder, '--key-file', join(GOLDEN, 'key-file'), '--log')
      const what = `${kind} ${name} (CHARTKEEP_SEED=${SEED})`
      expect(run.status, what).toBe(1)
      expect(run.stderr, what).toContain(name)
      expect(`${run.stdout}${run.stderr}`, what).not.toMatch(/unexpected|36\.6|P1/)
    }
  })

  test('of which there may be none', async () => {
    expect(await rescue('--log')).toMatchObject({ status: 0, stdout: 'there is no change log in the repository\n' })
    expect((await rescue('--log', '--list')).status).toBe(2)
  })
})

describe('the second reader of a snapshot that has trees of changes', () => {
  test('writes its rows, and proves those trees', async () => {
    const log = {
      logId: '20260101T000000Z-00000000',
      scanFrom: '0/3E8',
      scanSegment: 0,
      head: null,
      transactions: null,
    }
    const table = {
      name: 'public.vital_sign',
      columns: ['id', 'patient_id'],
      primaryKey: ['id'],
      anchor: 'patient_id',
      anchorPath: ['public.vital_sign.patient_id', 'public.patient.patient_id'],
      lines: ['1\t1', '2\t1'],
      changeLines: ['1\t0\t0\tI\t1\t1', '1\t1\t0\tU\t2\t1'],
    }
    const transactionLines = ['0\t700\t0/3E8\t0/3F2\t2026-01-01T00:00:00.000000Z\t\\N\t2']
    await forgeSnapshot(repository, [table], { log, transactionLines })

    const run = await rescue('--out', join(directory, 'out'))

    expect(run).toMatchObject({ status: 0, stderr: '' })
    expect(await readFile(join(directory, 'out', 'public.vital_sign.copy'), 'utf8')).toBe('1\t1\n2\t1\n')
  })
})
