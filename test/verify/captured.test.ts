/**
 * A repository as capture and incremental backups leave it, looked at by everything that has to understand it: check,
 * scrub, and the second reader, which must give the rows of the folded snapshot as the database has them.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { takeSnapshot } from '../../src/backup/snapshot.ts'
import type { PatientLayout } from '../../src/intake/table-plan.ts'
import { MANIFEST_PREFIX, packKey } from '../../src/repository/layout.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import { checkRepository } from '../../src/verify/check.ts'
import { scrubRepository } from '../../src/verify/scrub.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { CaptureRig, FAST, until } from '../support/capture-rig.ts'
import { InProcessPool } from '../support/fake-source.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { runRescue } from '../support/run-rescue.ts'
import { SIM_SECRET } from '../support/sim-repository.ts'

const LAYOUT: PatientLayout = {
  patient: { table: 'public.patient', key: 'patient_id', label: [] },
  anchors: new Map([['public.vital', 'patient_id']]),
  categories: new Map(),
  links: [],
  exclude: new Set(),
}

let rig: CaptureRig
let manifest: Manifest
let lines: string[]
/** What is stored when the second snapshot has been taken. */
let objects: Map<string, Uint8Array>

async function backUp(nowMs: number): Promise<Manifest> {
  const repository = rig.repository()
  const startedMs = performance.now()
  const { snapshot, mode } = await takeSnapshot({
    sourceName: 'icu',
    source: rig.database.source(),
    layout: LAYOUT,
    repository,
    pool: new InProcessPool(rig.database.tables, repository.store),
    signal: new AbortController().signal,
    nowMs: () => nowMs + performance.now() - startedMs,
    sleep: async (ms) => await new Promise((resolve) => setTimeout(resolve, Math.min(ms, 5))),
    onProgress: () => {},
  })
  const { manifest: taken } = await repository.readManifest(snapshot)
  expect(taken.mode).toBe(mode)
  return taken
}

beforeAll(async () => {
  rig = await CaptureRig.make()
  rig.settings = { ...FAST, sealMs: 5, progressMs: 10 }
  const rows = Array.from({ length: 400 }, (_, row) => `${row}\t${row % 2}\t${row * 7}.5`)
  rig.database.tables['public.vital'] = { columns: ['id', 'patient_id', 'value'], primaryKey: ['id'], lines: rows }
  const session = rig.start()
  await until(() => session.events.some(({ kind }) => kind === 'connected'))
  await backUp(Date.UTC(2026, 0, 3))
  rig.database.commit(
    { kind: 'insert', table: 'public.vital', after: '1000\t1\t1.25' },
    { kind: 'update', table: 'public.vital', after: '7\t2\t99' },
    { kind: 'delete', table: 'public.vital', before: '8\t\\u\t\\u' },
  )
  manifest = await backUp(Date.UTC(2026, 0, 4))
  await session.stop()
  expect(manifest.mode).toBe('incremental')
  lines = [...rig.database.tables['public.vital']!.lines]
  objects = new Map((rig.simulated.store as MemoryStore).objects)
}, 60_000)

function copy(): MemoryStore {
  const store = new MemoryStore()
  for (const [key, bytes] of objects) store.objects.set(key, Uint8Array.from(bytes))
  return store
}

const look = { signal: new AbortController().signal, nowMs: () => 0 }

async function scrub(store: MemoryStore) {
  return await scrubRepository({
    ...look,
    repository: rig.repository(store),
    random: randomBytes,
    lanes: 1,
    scrubPack: (from, task) => scrubPack(from.store, task),
  })
}

describe('a repository with a captured log and a folded snapshot', () => {
  test('is passed by check and by scrub, trees of changes and segments included', async () => {
    const store = copy()
    expect(await checkRepository({ ...look, repository: rig.repository(store) })).toMatchObject({
      status: 'passed',
      findings: [],
    })
    const { status, findings, looked } = await scrub(store)
    expect({ status, findings }).toEqual({ status: 'passed', findings: [] })
    const kept = [...objects.keys()]
    expect(looked).toMatchObject({ logs: 1, segmentsRead: kept.filter((key) => key.startsWith('segments/')).length })
    expect(looked.trees).toBeGreaterThan(2 * kept.filter((key) => key.startsWith(MANIFEST_PREFIX)).length)
  })

  test('fails the check when the root of a tree of changes is damaged', async () => {
    const root = manifest.tables.find(({ name }) => name === 'public.vital')!.changes!
    const store = copy()
    store.objects.get(packKey(root.pack))![root.offset + 2]! ^= 1
    const { status, findings } = await checkRepository({ ...look, repository: rig.repository(store) })
    expect(status).toBe('failed')
    expect(findings).toMatchObject([
      { kind: 'node-damaged', tables: ['public.vital'], snapshots: [manifest.snapshotId] },
    ])
  })

  test('fails the check when the newest segment that the snapshot names is gone', async () => {
    const store = copy()
    const { logId, head } = manifest.log!
    const segments = [...objects.keys()].filter((key) => key.startsWith(`segments/${logId}/`)).sort()
    for (const key of segments.slice(head!.segment)) store.objects.delete(key)
    const { findings } = await checkRepository({ ...look, repository: rig.repository(store) })
    expect(findings).toMatchObject([{ kind: 'segment-missing', object: segments[head!.segment] }])
  })
})

describe('the second reader of such a repository', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'chartkeep-captured-'))
    for (const [key, bytes] of objects) {
      await mkdir(dirname(join(directory, 'repository', key)), { recursive: true })
      await writeFile(join(directory, 'repository', key), bytes)
    }
    await writeFile(join(directory, 'key-file'), SIM_SECRET.bytes)
  })
  afterAll(async () => await rm(directory, { recursive: true, force: true }))

  const rescue = async (...options: string[]) =>
    await runRescue('--repo', join(directory, 'repository'), '--key-file', join(directory, 'key-file'), ...options)

  test('gives the rows as the database has them, and proves all else', async () => {
    expect(await rescue('--out', join(directory, 'rows'))).toMatchObject({ status: 0, stderr: '' })
    const text = await readFile(join(directory, 'rows', 'public.vital.copy'), 'utf8')
    expect(text.trimEnd().split('\n').sort()).toEqual([...lines].sort())
  })

  test('gives every change of the log', async () => {
    const out = join(directory, 'changes')
    expect(await rescue('--log', '--out', out)).toMatchObject({ status: 0, stderr: '' })
    const text = await readFile(join(out, `${manifest.log!.logId}.changes`), 'utf8')
    expect(text).toContain('\twhole\tinsert\tpublic.vital\tafter\t1000\t1\t1.25\n')
    expect(text).toContain('\tdelete\tpublic.vital\tbefore\t8\t\\u\t\\u\n')
  })
})
