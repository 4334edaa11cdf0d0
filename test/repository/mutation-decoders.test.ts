/**
 * Every decoder of the format over bytes that nobody honest wrote: random ones, and valid ones with a few bytes changed.
 * A decoder answers, or throws a Failure of its own kind; nothing else, at no length, and in no time to speak of.
 */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { Failure } from '../../src/errors.ts'
import { canonicalBytes, parseCanonical } from '../../src/repository/canonical-json.ts'
import { parseLogStart } from '../../src/repository/change-log/log-start.ts'
import { decodeSegment } from '../../src/repository/change-log/segment-codec.ts'
import { parseKeyWrapper } from '../../src/repository/crypto/key-wrapper.ts'
import { parseRecoverySecret } from '../../src/repository/crypto/recovery-sheet.ts'
import { logKey, segmentKey } from '../../src/repository/layout.ts'
import { openCheckpoint } from '../../src/repository/ledger/checkpoint.ts'
import { decodeEntryBytes } from '../../src/repository/ledger/log.ts'
import { parseManifest } from '../../src/repository/manifest.ts'
import { CHUNK_TYPES, packPayload, unpackPayload } from '../../src/repository/pack/chunk.ts'
import { openPack } from '../../src/repository/pack/chunk-reader.ts'
import { decodeDirectory } from '../../src/repository/pack/pack-format.ts'
import { parsePackIndex } from '../../src/repository/pack-index.ts'
import type { Repository } from '../../src/repository/repository.ts'
import { openRepository } from '../../src/repository/repository-lifecycle.ts'
import { OBJECT_TYPES, openObject } from '../../src/repository/sealed-object.ts'
import { tableSpec } from '../../src/repository/table-spec.ts'
import { decodeLeaf } from '../../src/repository/tree/leaf-codec.ts'
import { decodeNode, type TreeEntry } from '../../src/repository/tree/node-codec.ts'
import { leafRequest, nodeRequest, TreeReader } from '../../src/repository/tree/tree-reader.ts'
import { rootEntry } from '../../src/repository/tree/tree-root.ts'
import { segmentDraft, transactionAt, writeLog } from '../support/change-log.ts'
import { memoryRepository } from '../support/forge.ts'
import { GOLDEN, goldenSecrets, readFiles } from '../support/golden.ts'
import { MemoryStore } from '../support/memory-store.ts'
import { propertyRuns } from './tree/support.ts'

const RUNS = 1500
const EXPECTED_CODES = ['repository-damaged', 'repository-format', 'wrong-key', 'signature-refused', 'source-failed']
const MEMORY_BYTES_MAX = 400 * 1024 * 1024

let files: Map<string, Uint8Array>
let repository: Repository
let reader: TreeReader
let node: { entry: TreeEntry; level: number; bytes: Uint8Array }
let leaf: { entry: TreeEntry; bytes: Uint8Array }

beforeAll(async () => {
  files = await readFiles(GOLDEN)
  const store = new MemoryStore()
  for (const [name, bytes] of files) {
    if (name.startsWith('repository/')) store.objects.set(name.slice('repository/'.length), bytes)
  }
  repository = await openRepository(store, { url: store.url }, (await goldenSecrets()).keyFile)
  const { manifest } = await repository.readManifest((await repository.snapshotIds())[0]!)
  const table = manifest.tables.find(({ name }) => name === 'public.vital_sign')!
  const chunks = repository.chunkReader()
  reader = new TreeReader(tableSpec(table), chunks, repository.keyring.secrets)
  const root = rootEntry(table.rows)
  node = { entry: root, level: table.rows.level, bytes: await chunks.read(nodeRequest(root)) }
  const first = (await reader.leafEntries(table.rows).next()).value as TreeEntry
  leaf = { entry: first, bytes: await chunks.read(leafRequest(first)) }
})

/** Random bytes, and `valid` with bytes changed, inserted and cut away. */
function damagedBytes(valid: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({
    at: fc.nat(Math.max(0, valid.length - 1)),
    kind: fc.constantFrom('set', 'insert', 'cut', 'huge'),
    byte: fc.integer({ min: 0, max: 255 }),
  })
  const edited = fc.array(edit, { minLength: 1, maxLength: 5 }).map((edits) => {
    let bytes = Buffer.from(valid)
    for (const { at, kind, byte } of edits) {
      const place = Math.min(at, bytes.length)
      const rest = bytes.subarray(kind === 'cut' ? place + 1 : place)
      const put = kind === 'insert' ? [byte] : kind === 'huge' ? [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f] : []
      if (kind === 'set' && place < bytes.length) bytes[place] = byte
      else bytes = Buffer.concat([bytes.subarray(0, place), Buffer.from(put), rest])
    }
    return Uint8Array.from(bytes)
  })
  return fc.oneof({ arbitrary: edited, weight: 5 }, fc.uint8Array({ maxLength: 300 }))
}

/** Runs `decode` over damaged bytes; whatever it throws but a Failure of the expected kind fails the test. */
function holdsAgainst(valid: Uint8Array, decode: (bytes: Uint8Array) => void, runs = RUNS): void {
  const before = process.memoryUsage().rss
  decode(valid)
  fc.assert(
    fc.property(damagedBytes(valid), (bytes) => {
      try {
        decode(bytes)
      } catch (error) {
        const isExpected = error instanceof Failure && EXPECTED_CODES.includes(error.code)
        if (!isExpected) throw error
      }
    }),
    propertyRuns(runs),
  )
  expect(process.memoryUsage().rss - before).toBeLessThan(MEMORY_BYTES_MAX)
}

describe('a decoder throws nothing but a Failure, whatever bytes it is given', () => {
  test('of sealed objects', () => {
    const [snapshotId] = [...files.keys()].filter((name) => name.includes('/manifests/'))
    const name = snapshotId!.slice('repository/'.length)
    const expected = { type: OBJECT_TYPES.manifest, name }
    holdsAgainst(files.get(snapshotId!)!, (bytes) => openObject(bytes, expected, repository.keyring.dataKey))
  })

  test('of packs', () => {
    const [name] = [...files.keys()].filter((path) => path.includes('/packs/'))
    const packId = name!.slice(-32)
    const { dataKeys } = repository.keyring.secrets
    const decode = (bytes: Uint8Array) => {
      const pack = openPack(packId, Buffer.from(bytes), dataKeys)
      for (const chunk of pack.chunks) pack.open(chunk)
    }
    holdsAgainst(files.get(name!)!, decode, 300)
  })

  test('of pack directories', () => {
    const empty = Buffer.concat([Buffer.of(1, CHUNK_TYPES.leaf), Buffer.alloc(32), Buffer.of(32, 5)])
    holdsAgainst(empty, (bytes) => decodeDirectory(bytes, 'a directory'))
  })

  test('of payloads', () => {
    holdsAgainst(packPayload(Buffer.alloc(5000, 'chart')), (bytes) => unpackPayload(bytes, 'a chunk'))
  })

  test('of nodes', () => {
    holdsAgainst(node.bytes, (bytes) => decodeNode(bytes, 'a node'))
  })

  test('of leaves', () => {
    const { rows, textBytes } = leaf.entry
    const expected = { rows, textBytes, columns: reader.spec.fieldCount, what: 'a leaf' }
    holdsAgainst(leaf.bytes, (bytes) => decodeLeaf(bytes, expected), 600)
  })

  test('of key wrappers', () => {
    const [name] = [...files.keys()].filter((path) => path.includes('/keys/'))
    holdsAgainst(files.get(name!)!, (bytes) => parseKeyWrapper(name!.slice('repository/'.length), bytes))
  })

  test('of recovery sheets', () => {
    const sheet = files.get('recovery-sheet.txt')!
    holdsAgainst(sheet, (bytes) => parseRecoverySecret(Buffer.from(bytes).toString('utf8')), 400)
  })

  test('of manifests and indexes', async () => {
    const { manifest } = await repository.readManifest((await repository.snapshotIds())[0]!)
    holdsAgainst(canonicalBytes(manifest), (bytes) => parseManifest(parseCanonical(bytes, 'x'), 'x'), 400)
    const index = canonicalBytes(await repository.readIndex(manifest))
    holdsAgainst(index, (bytes) => parsePackIndex(parseCanonical(bytes, 'x'), 'x'), 400)
  })

  test('of manifests of any JSON shape', () => {
    const property = fc.property(fc.jsonValue(), (value) => {
      expect(() => parseManifest(value, 'x')).toThrow(Failure)
    })
    fc.assert(property, propertyRuns(RUNS))
  })

  test('of segments and of the starts of logs', async () => {
    const logs = await memoryRepository()
    const parts = [transactionAt(1000n, 3, { mark: 'changeset 1' }), transactionAt(1020n, 2)]
    const writer = await writeLog(logs.repository, [segmentDraft(1020n, { transactions: parts, unfinished: true })])
    const { logId } = writer.start
    const segment = await logs.repository.sealed.read(segmentKey(logId, 0), OBJECT_TYPES.segment)
    holdsAgainst(segment, (bytes) => decodeSegment(bytes, 'a segment'))
    const start = await logs.repository.sealed.read(logKey(logId), OBJECT_TYPES.logStart)
    holdsAgainst(start, (bytes) => parseLogStart(bytes, 'a start'), 400)
  })

  test('of ledger entries and checkpoints', async () => {
    const { entries } = await repository.ledger.read()
    holdsAgainst(entries[0]!.bytes, (bytes) => decodeEntryBytes(bytes, 0))
    const { verifierKey, origin } = repository.ledger
    holdsAgainst(files.get('checkpoint.txt')!, (bytes) => openCheckpoint(bytes, [verifierKey], origin), 400)
  })
})

describe('what a digest covers', () => {
  test('a leaf whose stored bytes are changed gives its own rows, or none', () => {
    const rows = reader.decodeLeaf(leaf.entry, leaf.bytes).text
    holdsAgainst(leaf.bytes, (bytes) => expect(reader.decodeLeaf(leaf.entry, bytes).text.equals(rows)).toBe(true), 600)
  })

  test('a node whose stored bytes are changed names the same children, rows and keys, or none', () => {
    const covered = (bytes: Uint8Array) =>
      reader
        .decodeNode(node.entry, node.level, bytes)
        .children.map(({ digest, rows, lastKey }) => ({ digest, rows, lastKey: Buffer.from(lastKey).toString('hex') }))
    const expected = covered(node.bytes)
    holdsAgainst(node.bytes, (bytes) => expect(covered(bytes)).toEqual(expected), 600)
  })

  test('a head that claims more rows than a leaf can have is refused before anything is allocated', () => {
    // Two constant columns: few bytes that stand for as many rows as their head says.
    const constants = Buffer.concat([Buffer.of(2, 1, 1, 1, 1), Buffer.from('xy')])
    for (const rows of [2 ** 31, 2 ** 40, 2 ** 51]) {
      const forged = Buffer.concat([varint(rows), constants])
      const expected = { rows, columns: 2, textBytes: rows * 4, what: 'a leaf' }
      expect(() => decodeLeaf(forged, expected)).toThrow(Failure)
    }
    const honest = { rows: 2, columns: 2, textBytes: 8, what: 'a leaf' }
    expect(decodeLeaf(Buffer.concat([varint(2), constants]), honest).toString()).toBe('x\ty\nx\ty\n')
  })

  test('a node of more children than the rule allows is refused', () => {
    const forged = Buffer.concat([Buffer.of(1), varint(2 ** 40), Buffer.of(0)])
    expect(() => decodeNode(forged, 'a node')).toThrow(/children/)
  })
})

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}
