/** Change logs as they were written once: today's reader and the second one find the same in them, and not a byte has changed. */
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { listLogs, openLog } from '../../src/repository/change-log/reader.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { checkRepository } from '../../src/verify/check.ts'
import { joined } from '../support/change-log.ts'
import { readFiles } from '../support/golden.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { runRescue } from '../support/run-rescue.ts'

const GOLDEN_LOG = join(import.meta.dirname, '../golden/format-1-log')

async function openGolden() {
  const store = new MemoryStore()
  for (const [name, bytes] of await readFiles(join(GOLDEN_LOG, 'repository'))) store.objects.set(name, bytes)
  const bytes = await readFile(join(GOLDEN_LOG, 'key-file'))
  return await openRepository(store, { url: store.url }, { kind: 'key-file', bytes })
}

test('golden change logs have every file they were made with, unchanged, and no other', async () => {
  const found = await readFiles(GOLDEN_LOG)
  const list = Buffer.from(found.get('files.sha256')!).toString('utf8').trimEnd().split('\n')
  found.delete('files.sha256')
  const hashes = [...found].map(([name, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${name}`)
  expect(hashes.sort()).toEqual(list.sort())
})

test('golden change logs are read by today’s reader as they were meant, and passed by check', async () => {
  const repository = await openGolden()
  const { logs } = await listLogs(repository, 'icu')
  expect(logs).toHaveLength(2)
  const [, second] = logs
  expect(second).toMatchObject({
    previousLog: { logId: logs[0]!.logId, reason: 'slot chartkeep_icu is gone', end: 1010n },
    startLsn: 1000n,
    xidHorizon: '742',
  })
  const log = await openLog(repository, second!.logId)
  const found = await joined(log.transactions())
  expect(
    found.map(({ commitLsn, mark, changes }) => [commitLsn, mark, changes.map(({ kind }) => kind).join()]),
  ).toEqual([
    [1000n, null, Array.from({ length: 6 }, () => 'insert').join()],
    [1010n, 'changeset 7', 'update,update,delete,truncate'],
  ])
  expect(found[1]?.changes[1]?.after?.toString()).toBe('2\told\\tnote')
  expect(await log.closedTables()).toMatchObject([{ table: 'public.note', segment: 3, from: 1000n, noticedAt: 1025n }])
  expect((await log.fingerprint()).get('public.note')).toBe('b')
  const request = { repository, signal: new AbortController().signal, nowMs: () => 0 }
  expect(await checkRepository(request)).toMatchObject({ status: 'passed', findings: [] })
})

test('golden change logs are written out by the second reader as they were', async () => {
  const out = await mkdtemp(join(tmpdir(), 'chartkeep-golden-log-'))
  try {
    const where = ['--repo', join(GOLDEN_LOG, 'repository'), '--key-file', join(GOLDEN_LOG, 'key-file')]
    expect(await runRescue(...where, '--log', '--out', out)).toMatchObject({ status: 0, stderr: '' })
    for (const name of await readdir(join(GOLDEN_LOG, 'expected'))) {
      expect(await readFile(join(out, name), 'utf8')).toBe(await readFile(join(GOLDEN_LOG, 'expected', name), 'utf8'))
    }
  } finally {
    await rm(out, { recursive: true, force: true })
  }
})
