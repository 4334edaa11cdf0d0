/**
 * F1, F2: what is missing, altered, swapped or stale in a repository is found, and the finding says whom it affects.
 * One small repository of two snapshots, the second of which shares most leaves with the first; each test damages one
 * object, looks, and puts it back.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PostgresServer, startPostgres } from '../../scripts/support/postgres-server.ts'
import { Failure } from '../../src/errors.ts'
import type { Manifest } from '../../src/repository/manifest.ts'
import type { PackRecord } from '../../src/repository/pack/pack-writer.ts'
import { treesOf } from '../../src/repository/snapshot-trees.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { encodeKey } from '../../src/repository/tree/key.ts'
import type { TreeEntry } from '../../src/repository/tree/node-codec.ts'
import { rowText } from '../../src/repository/tree/rows.ts'
import { TreeReader } from '../../src/repository/tree/tree-reader.ts'
import { openSource } from '../../src/source/open.ts'
import type { Verification } from '../../src/verify/finding.ts'
import { LeafExpectations } from '../../src/verify/leaf-expectations.ts'
import { oldestProof } from '../../src/verify/proofs.ts'
import { scrubPack } from '../../src/verify/scrub-pack.ts'
import { ScrubPool } from '../../src/verify/scrub-pool.ts'
import { runSql } from '../source/postgres/support.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { makeRepository, objectKeys, type TestRepository, whileDamaged } from '../support/repository.ts'
import { PATIENTS, wardLayout, wardSql } from '../support/ward.ts'
import { check, errorsOf, kindsOf, scrub } from './verify-support.ts'

let server: PostgresServer
let made: TestRepository
let first: string
let second: string
let keys: string[]

beforeAll(async () => {
  server = await startPostgres({})
  made = await makeRepository()
  const url = await server.createDatabase('ward')
  await runSql(url, ...wardSql({ vitals: 5_000 }))
  await using source = await openSource({ url })
  first = await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 2))
  await runSql(url, 'UPDATE vital_sign SET value = 1 WHERE id = 777', `INSERT INTO drug VALUES ('D99', 'new')`)
  second = await made.snapshot(source, wardLayout, Date.UTC(2026, 0, 3))
  await scrub(made.repository, { keepProof: true })
  keys = await objectKeys(made.directory)
})

afterAll(async () => {
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

async function manifestOf(snapshotId: string): Promise<Manifest> {
  return (await made.repository.readManifest(snapshotId)).manifest
}

/** A repository opened anew looks; a refusal to open at all is an answer too. */
async function look(how: typeof check): Promise<Verification | Failure> {
  try {
    await using repository = await made.open()
    return await how(repository)
  } catch (error) {
    if (error instanceof Failure) return error
    throw error
  }
}

function isNoticed(answer: Verification | Failure): boolean {
  return answer instanceof Failure || answer.status === 'failed' || answer.findings.length > 0
}

async function vitalLeaves(snapshotId: string): Promise<{ reader: TreeReader; entries: TreeEntry[] }> {
  const table = (await manifestOf(snapshotId)).tables.find(({ name }) => name === 'public.vital_sign')!
  const { repository } = made
  const reader = new TreeReader(tableSpec(table), repository.chunkReader(), repository.keyring.secrets)
  return { reader, entries: await Array.fromAsync(reader.leafEntries(table.rows)) }
}

/** What the findings must say, from the rows themselves: `stay_id` is the second field, and stays go round the patients. */
async function patientsOf(reader: TreeReader, entry: TreeEntry): Promise<string[]> {
  const rows = await reader.readLeaf(entry)
  const patients = new Set<number>()
  for (let row = 0; row < rows.count; row += 1) {
    const stay = Number(rowText(rows, row).toString().split('\t')[1])
    patients.add(1 + ((stay - 100) % PATIENTS))
  }
  const pseudonym = (id: number) => made.repository.keyring.pseudonym(encodeKey([Buffer.from(String(id))]))
  return [...patients].map(pseudonym).sort()
}

describe('a repository as it was written', () => {
  test('passes check and scrub, which say how much they looked at', async () => {
    const manifest = await manifestOf(second)

    const checked = await check(made.repository)
    const scrubbed = await scrub(made.repository)

    expect(checked).toMatchObject({ status: 'passed', findings: [] })
    expect(checked.looked).toMatchObject({ snapshots: 2, packs: 4 })
    expect(scrubbed).toMatchObject({ status: 'passed', findings: [] })
    const rows = manifest.tables.reduce((sum, table) => sum + table.rows.rows + (table.locator?.rows ?? 0), 0)
    expect(scrubbed.looked.rowsProved).toBeGreaterThan(rows)
    expect(scrubbed.looked.packsRead).toBe(4)
    expect(scrubbed.age).toMatchObject({ neverProved: 0 })
  })

  test('passes in passes of a few leaves each as it does in one', async () => {
    const scrubbed = await scrub(made.repository, { leavesPerPass: 1 })

    expect(scrubbed).toMatchObject({ status: 'passed', findings: [] })
  })
})

describe('a scrub of bytes', () => {
  test('passes, says what it did not decode, and is no proof of rows', async () => {
    const { repository } = made
    const packIds = (await packsOf(first, second)).map(({ packId }) => packId)

    const rowsBefore = await oldestProof(repository, packIds, 'rows')
    const nowMs = () => Date.UTC(2027, 0, 1)

    const scrubbed = await scrub(repository, { depth: 'bytes', keepProof: true, nowMs })

    expect(scrubbed).toMatchObject({ status: 'passed', findings: [], age: { neverProved: 0 } })
    expect((await oldestProof(repository, packIds, 'bytes')).oldest).toBe(new Date(nowMs()).toISOString())
    expect(await oldestProof(repository, packIds, 'rows')).toEqual(rowsBefore)
    await repository.store.delete(scrubbed.proof!)
    const rows = await scrub(repository)
    expect(scrubbed.looked.rowsAsSealed).toBe(rows.looked.rowsProved)
    expect(scrubbed.looked.rowsProved).toBeUndefined()
  })

  test('names a leaf that is sealed under another digest than its tree has', async () => {
    const [one, two] = (await vitalLeaves(first)).entries
    const { packId, offset } = one!.place
    const tree = treesOf(await manifestOf(first)).find(({ table }) => table?.name === 'public.vital_sign')!
    const pack = (await packsOf(first)).find((candidate) => candidate.packId === packId)!
    const problems = async (digest: Uint8Array) => {
      const leaves = new LeafExpectations([packId])
      leaves.add({ tree, level: 0, entry: { ...one!, digest }, after: null, isLast: false })
      const { forms } = leaves
      const { secrets } = made.repository.keyring
      const task = { pack, depth: 'bytes', forms, expectations: leaves.of(packId), secrets } as const
      return (await scrubPack(made.repository.store, task)).problems
    }

    expect(await problems(one!.digest)).toEqual([])
    expect(await problems(two!.digest)).toMatchObject([{ offset, kind: 'chunk-damaged' }])
  })
})

describe('a scrub by threads', () => {
  test('says what one in this thread says, of a whole repository and of a damaged one', async () => {
    await using pool = new ScrubPool(2)
    const byThreads = { lanes: 2, scrubPack: pool.scrubPack.bind(pool) }
    const { packId, offset } = (await vitalLeaves(first)).entries[1]!.place
    const key = `packs/${packId.slice(0, 2)}/${packId}`
    const both = async () => {
      const [here, there] = [await scrub(made.repository), await scrub(made.repository, byThreads)]
      return { here: { ...here, proof: null }, there: { ...there, proof: null } }
    }

    const whole = await both()
    const damaged = await whileDamaged(made.directory, key, (bytes) => flipped(bytes, offset * 8), both)

    expect(whole.there).toEqual(whole.here)
    expect(whole.there.status).toBe('passed')
    expect(damaged.there).toEqual(damaged.here)
    expect(damaged.there.status).toBe('failed')
  })

  test('of one snapshot reads the packs that it needs, and proves only those', async () => {
    const found = await scrub(made.repository, { snapshots: [first] })

    expect(found).toMatchObject({ status: 'passed', looked: { packsRead: 2 } })
    expect(found.age?.neverProved).toBe(0)
  })
})

describe('one lost object', () => {
  test.each([
    'config',
    'data-keys/',
    'indexes/',
    'keys/',
    'ledger/checkpoints/',
    'ledger/entries/',
    'ledger/heads/',
    'manifests/',
    'packs/',
    'signers/',
  ])('of %s is noticed, whichever of them it is', async (prefix) => {
    const some = keys.filter((key) => key.startsWith(prefix))

    for (const key of some) {
      const answer = await whileDamaged(
        made.directory,
        key,
        () => null,
        () => look(check),
      )
      // One of several wrappers may have been removed on purpose.
      const isNone = prefix === 'keys/' && !(answer instanceof Failure)
      expect(isNone || isNoticed(answer), key).toBe(true)
    }
    expect(some.length).toBeGreaterThan(0)
  })

  test('a manifest: the snapshot is named, whether or not a later one names it', async () => {
    for (const snapshot of [first, second]) {
      const answer = await whileDamaged(
        made.directory,
        `manifests/${snapshot}`,
        () => null,
        () => check(made.repository),
      )

      expect(answer.status).toBe('failed')
      expect(errorsOf(answer).every((found) => found.snapshots.includes(snapshot))).toBe(true)
    }
  })

  test('a snapshot that vanished whole, manifest and index, is missed', async () => {
    const answer = await whileDamaged(
      made.directory,
      `manifests/${second}`,
      () => null,
      () =>
        whileDamaged(
          made.directory,
          `indexes/${second}`,
          () => null,
          () => check(made.repository),
        ),
    )

    expect(errorsOf(answer)).toMatchObject([{ kind: 'snapshot-vanished', snapshots: [second] }])
  })

  test('a snapshot removed together with its ledger entry and checkpoint is missed as long as the head is there', async () => {
    const removed = [
      `manifests/${second}`,
      `indexes/${second}`,
      'ledger/entries/0000000001',
      'ledger/checkpoints/0000000002',
    ]
    const without = (rest: readonly string[]): Promise<Verification> =>
      rest.length === 0
        ? check(made.repository)
        : whileDamaged(
            made.directory,
            rest[0]!,
            () => null,
            () => without(rest.slice(1)),
          )

    const answer = await without(removed)

    expect(errorsOf(answer)).toMatchObject([{ kind: 'ledger-damaged', object: 'ledger/heads/0000000002' }])
  })

  test('the key of who signed, after it was read: a process that runs for months looks again', async () => {
    const key = keys.find((name) => name.startsWith('signers/'))!
    await made.repository.readManifest(first)

    const answer = await whileDamaged(
      made.directory,
      key,
      () => null,
      () => check(made.repository),
    )

    expect(answer.status).toBe('failed')
  })

  test('an index: its snapshot, and every later one that needs its packs', async () => {
    const answer = await whileDamaged(
      made.directory,
      `indexes/${first}`,
      () => null,
      () => check(made.repository),
    )

    expect(errorsOf(answer)).toMatchObject([{ kind: 'index-missing', snapshots: [first, second] }])
    expect(errorsOf(answer)[0]?.tables).toContain('public.vital_sign')
  })

  test('a pack of the base that an increment still needs: both snapshots are named (F2)', async () => {
    const { entries } = await vitalLeaves(second)
    const shared = entries.filter(({ place }) => place.packId === entries[0]!.place.packId)

    const key = `packs/${shared[0]!.place.packId.slice(0, 2)}/${shared[0]!.place.packId}`
    const answer = await whileDamaged(
      made.directory,
      key,
      () => null,
      () => check(made.repository),
    )

    expect(errorsOf(answer)).toMatchObject([{ kind: 'pack-missing', object: key, snapshots: [first, second] }])
    expect(errorsOf(answer)[0]?.rows).toBeGreaterThan(4_000)
  })

  test('the pack that only the increment needs: one table, one snapshot, and exactly its patients', async () => {
    const { reader, entries } = await vitalLeaves(second)
    const before = new Set((await vitalLeaves(first)).entries.map(({ place }) => place.packId))
    const lost = entries.filter(({ place }) => !before.has(place.packId))
    const expected = new Set<string>()
    for (const entry of lost) for (const patient of await patientsOf(reader, entry)) expected.add(patient)

    const { packId } = lost[0]!.place
    const key = `packs/${packId.slice(0, 2)}/${packId}`
    const answer = await whileDamaged(
      made.directory,
      key,
      () => null,
      () => check(made.repository),
    )

    expect(lost.length).toBeGreaterThan(0)
    const vital = { snapshots: [second], patients: [...expected].sort(), patientsComplete: true }
    expect(errorsOf(answer)).toMatchObject([{ kind: 'pack-missing', ...vital }])
    expect(errorsOf(answer)[0]?.tables).toEqual(['public.drug', 'public.vital_sign'])
  })

  test('every wrapper: nobody could open the repository again', async () => {
    const wrappers = keys.filter((key) => key.startsWith('keys/'))
    const look = (rest: readonly string[]): Promise<Verification> =>
      rest.length === 0
        ? check(made.repository)
        : whileDamaged(
            made.directory,
            rest[0]!,
            () => null,
            () => look(rest.slice(1)),
          )

    expect(kindsOf(await look(wrappers))).toEqual(['wrapper-missing'])
  })
})

describe('a lost leaf of vital signs', () => {
  test('names exactly its patients, whichever leaf it is', async () => {
    const { reader, entries } = await vitalLeaves(first)
    const some = [entries[0]!, entries[Math.floor(entries.length / 2)]!, entries.at(-1)!]

    for (const entry of some) {
      const { packId, offset } = entry.place
      const answer = await whileDamaged(
        made.directory,
        `packs/${packId.slice(0, 2)}/${packId}`,
        (bytes) => flipped(bytes, offset * 8),
        () => scrub(made.repository),
      )

      const errors = errorsOf(answer)
      expect(errors).toMatchObject([{ kind: 'pack-damaged', tables: ['public.vital_sign'], rows: entry.rows }])
      expect(errors[0]?.patients).toEqual(await patientsOf(reader, entry))
      expect(errors[0]?.patientsComplete).toBe(true)
      expect(answer.looked.packsRead).toBe(4)
    }
  })
})

describe('one flipped bit', () => {
  test('of any small object is noticed by opening or by check', async () => {
    const missed: string[] = []
    for (const key of keys.filter((name) => !name.startsWith('packs/') && !name.startsWith('keys/'))) {
      const bits = (await readFile(join(made.directory, key))).length * 8
      for (const bit of sampled(bits, 6)) {
        const answer = await whileDamaged(
          made.directory,
          key,
          (bytes) => flipped(bytes, bit),
          () => check(made.repository),
        )
        if (!isNoticed(answer)) missed.push(`${key} bit ${bit}`)
      }
    }

    expect(missed).toEqual([])
  })

  test('of the wrapper of our key file: it does not open', async () => {
    const wrapper = await keyFileWrapper()
    const text = await readFile(join(made.directory, wrapper), 'utf8')
    const at = text.indexOf('"wrapped":"') + 30

    const answer = await whileDamaged(
      made.directory,
      wrapper,
      (bytes) => flipped(bytes, at * 8),
      () => look(check),
    )

    expect(answer).toBeInstanceOf(Failure)
  })

  test('of any region of a pack is noticed, by its hash and, where an index has the wrong hash, by its tags', async () => {
    const missed: string[] = []
    const { repository } = made
    for (const pack of await packsOf(first, second)) {
      const key = `packs/${pack.packId.slice(0, 2)}/${pack.packId}`
      const bytes = await readFile(join(made.directory, key))
      const directoryAt = bytes.length - 12 - bytes.readUInt32LE(bytes.length - 12)
      const regions = [0, 6, 7, 8, 16, 31, 32, 40, directoryAt - 1, directoryAt, bytes.length - 12, bytes.length - 1]
      for (const bit of [...regions.map((at) => at * 8 + 3), ...sampled(bytes.length * 8, 40)]) {
        const store = new MemoryStore()
        const damaged = flipped(Buffer.from(bytes), bit)
        await store.put(key, damaged)
        for (const sha256 of [pack.sha256, createHash('sha256').update(damaged).digest('hex')]) {
          for (const depth of ['rows', 'bytes'] as const) {
            const task = { forms: [], expectations: new Uint8Array(), secrets: repository.keyring.secrets, depth }
            const report = await scrubPack(store, { pack: { ...pack, sha256 }, ...task })
            if (report.problems.length === 0) missed.push(`${key} bit ${bit}, ${depth}`)
          }
        }
      }
    }

    expect(missed).toEqual([])
  })

  test('of a pack turns a scrub red', async () => {
    for (const key of keys.filter((name) => name.startsWith('packs/'))) {
      const answer = await whileDamaged(
        made.directory,
        key,
        (whole) => flipped(whole, 50 * 8),
        () => scrub(made.repository),
      )
      expect(answer.status).toBe('failed')
    }
  })

  test('in a directory costs no row, and says so', async () => {
    const { packId } = (await vitalLeaves(first)).entries[0]!.place
    const answer = await whileDamaged(
      made.directory,
      `packs/${packId.slice(0, 2)}/${packId}`,
      (bytes) => flipped(bytes, (bytes.length - 40) * 8),
      () => scrub(made.repository),
    )

    expect(errorsOf(answer)).toMatchObject([{ kind: 'pack-damaged', rows: 0, tables: [], patients: [] }])
    expect(errorsOf(answer)[0]?.message).toContain('every chunk in it can still be read')
  })
})

describe('objects in the wrong place', () => {
  test.each([
    'indexes/',
    'ledger/checkpoints/',
    'ledger/entries/',
    'ledger/heads/',
    'manifests/',
    'packs/',
    'keys/',
  ])('two swapped objects of %s are noticed', async (prefix) => {
    const some = keys.filter((key) => key.startsWith(prefix))
    const [one, other] = [some[0]!, some.at(-1)!]
    const bytes = { one: await readFile(join(made.directory, one)), other: await readFile(join(made.directory, other)) }

    const answer = await whileDamaged(
      made.directory,
      one,
      () => bytes.other,
      () =>
        whileDamaged(
          made.directory,
          other,
          () => bytes.one,
          () => check(made.repository),
        ),
    )

    expect(one).not.toBe(other)
    expect(answer.status).toBe('failed')
  })

  test('an older object of one kind under the name of a newer one is noticed', async () => {
    for (const prefix of ['indexes/', 'manifests/', 'ledger/heads/', 'ledger/checkpoints/', 'ledger/entries/']) {
      const some = keys.filter((key) => key.startsWith(prefix))
      const stale = await readFile(join(made.directory, some[0]!))

      const answer = await whileDamaged(
        made.directory,
        some.at(-1)!,
        () => stale,
        () => check(made.repository),
      )

      expect(answer.status, prefix).toBe('failed')
    }
  })

  test('a truncated, a lengthened and an empty pack are noticed by check', async () => {
    for (const key of keys.filter((name) => name.startsWith('packs/'))) {
      for (const damage of [
        (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
        (bytes: Buffer) => Buffer.concat([bytes, Buffer.of(0)]),
        () => Buffer.alloc(0),
      ]) {
        const answer = await whileDamaged(made.directory, key, damage, () => check(made.repository))
        expect(kindsOf(answer)).toContain('pack-size')
      }
    }
  })

  test('packs of a backup that was cut off are garbage, and no damage', async () => {
    const stray = join('packs', 'ab', `ab${'0'.repeat(30)}`)
    await made.repository.store.put(stray, Buffer.from('half a backup'))
    try {
      const answer = await check(made.repository)

      expect(answer).toMatchObject({ status: 'passed', findings: [{ severity: 'warning', kind: 'garbage' }] })
    } finally {
      await made.repository.store.delete(stray)
    }
  })
})

/** Last, for it removes the proofs that others damage. */
describe('proofs', () => {
  test('say how long ago each pack was read, and that a damaged one was not proved', async () => {
    const { repository } = made
    const before = await repository.sealed.names('proofs/')
    for (const name of before) await repository.store.delete(name)

    const one = await scrub(repository, { snapshots: [first], nowMs: () => Date.UTC(2026, 1, 1), keepProof: true })
    const all = await scrub(repository, { nowMs: () => Date.UTC(2026, 2, 1), keepProof: true })
    const { packId, offset } = (await vitalLeaves(first)).entries[1]!.place
    const key = `packs/${packId.slice(0, 2)}/${packId}`
    const damaged = await whileDamaged(
      made.directory,
      key,
      (bytes) => flipped(bytes, offset * 8),
      () => scrub(repository, { nowMs: () => Date.UTC(2026, 3, 1), keepProof: true }),
    )

    expect(one.age).toEqual({ oldest: null, neverProved: 2 })
    expect(all.age).toEqual({ oldest: '2026-03-01T00:00:00.000Z', neverProved: 0 })
    expect(damaged.age).toEqual({ oldest: '2026-03-01T00:00:00.000Z', neverProved: 0 })
  })
})

async function packsOf(...snapshots: string[]): Promise<PackRecord[]> {
  const packs: PackRecord[] = []
  for (const snapshot of snapshots) packs.push(...(await made.repository.readIndex(await manifestOf(snapshot))).packs)
  return packs
}

async function keyFileWrapper(): Promise<string> {
  for (const key of keys.filter((name) => name.startsWith('keys/'))) {
    if ((await readFile(join(made.directory, key), 'utf8')).includes('"key-file"')) return key
  }
  throw new Error('the repository has no wrapper of a key file')
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const at = Math.floor(bit / 8)
  bytes[at] = bytes[at]! ^ (1 << (bit % 8))
  return bytes
}

/** Spread evenly, at odd places: deterministic, and no two in one byte. */
function sampled(bits: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => Math.floor(((index + 0.37) / count) * bits))
}
