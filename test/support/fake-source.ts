/**
 * A source that is a few lists of lines, and a pool that builds trees in this very thread over a given store: a whole
 * backup in some twenty milliseconds without a server, so that a fault sweep can run it hundreds of times.
 *
 * Everything between the lines and the store is the real code; only reading from a database and the way through a
 * worker thread are left out.
 */
import type { BuildAll } from '../../src/intake/build-all.ts'
import type { TableConsumer } from '../../src/intake/build-pool.ts'
import { buildTable, type FindStored } from '../../src/repository/build/build-table.ts'
import { ChunkReader } from '../../src/repository/pack/chunk-reader.ts'
import type { Store } from '../../src/repository/store/contract.ts'
import { locatorSpec, type TreeSpec } from '../../src/repository/tree/spec.ts'
import { StoredLeaves } from '../../src/repository/tree/stored-leaves.ts'
import { TreeReader } from '../../src/repository/tree/tree-reader.ts'
import type { TreeRoot } from '../../src/repository/tree/tree-root.ts'
import type { ConsistentRead, SchemaInfo, Source, SourceIdentity, TableInfo } from '../../src/source/contract.ts'

export interface FakeTable {
  readonly columns: readonly string[]
  readonly primaryKey: readonly string[]
  /** Without newlines, in any order. */
  readonly lines: readonly string[]
}

export type FakeTables = Readonly<Record<string, FakeTable>>

const IDENTITY: SourceIdentity = {
  engine: 'postgresql',
  systemId: '7000000000000000001',
  timeline: 1,
  databaseOid: '16384',
  databaseName: 'fake',
  serverVersion: '15.0',
  serverVersionNumber: 150000,
  encoding: 'UTF8',
}

type Pool = BuildAll['pool']
type BuildTask = Parameters<Pool['buildTable']>[0]

export class FakeSource implements Source {
  readonly capabilities = { transactionalDdl: true, sharedSnapshot: true }
  readonly profile = { containedShare: async () => null, looksUnique: async () => false }
  readonly changes = null
  readonly tables: FakeTables

  constructor(tables: FakeTables) {
    this.tables = tables
  }

  async identify(): Promise<SourceIdentity> {
    return IDENTITY
  }

  async introspect(): Promise<SchemaInfo> {
    const names = Object.keys(this.tables).sort()
    const tables = names.map((name, index) => tableInfo(name, 20_000 + index, this.tables[name]!))
    return { tables, sequences: [], notCaptured: [] }
  }

  async openRead(): Promise<ConsistentRead> {
    const schema = await this.introspect()
    return {
      identity: IDENTITY,
      position: { lsn: '0/1000000', visible: '100:100:', sourceTime: '2026-01-02T00:00:00.000000Z' },
      ticket: { engine: 'postgresql', connection: { url: 'fake:' }, snapshot: 'fake', encoding: 'UTF8' },
      schema,
      visibleTables: schema.tables,
      tableTickets: schema.tables.map(({ name, sqlName, oid, columns }) => {
        return { name, sqlName, oid, storage: oid, columns: columns.map((column) => column.name) }
      }),
      yielded: new AbortController().signal,
      readDdl: async () => ({ origin: 'fake', steps: [], notCarried: [] }),
      [Symbol.asyncDispose]: async () => {},
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function tableInfo(name: string, oid: number, table: FakeTable): TableInfo {
  return {
    name,
    sqlName: name,
    oid: String(oid),
    partitionOf: null,
    columns: table.columns.map((column) => ({ name: column, type: 'text', notNull: false })),
    generatedColumns: [],
    primaryKey: table.primaryKey,
    uniqueKeys: [],
    foreignKeys: [],
    unlogged: false,
    estimatedRows: table.lines.length,
    estimatedBytes: table.lines.join('\n').length,
    comment: null,
  }
}

/** Builds trees from the tables of `source`, and looks for stored leaves in `store`. One table at a time. */
export class InProcessPool implements Pool {
  readonly threads = 1
  readonly #tables: FakeTables
  readonly #store: Store

  constructor(tables: FakeTables, store: Store) {
    this.#tables = tables
    this.#store = store
  }

  async buildTable(task: BuildTask, consumer: TableConsumer, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const { lines } = this.#tables[task.table.name]!
    const text = Buffer.from(lines.map((line) => `${line}\n`).join(''))
    await buildTable({
      ...task,
      lines: iterate(text),
      keys: task.secrets,
      findStored: {
        rows: this.#find(task, task.spec, task.previous?.rows ?? null),
        locator: this.#find(task, locatorSpec(task.spec), task.previous?.locator ?? null),
      },
      onLeaf: async (tree, leaf) => {
        signal.throwIfAborted()
        await consumer.onLeaf(tree, leaf)
      },
      onRead: (bytes) => consumer.onRead(bytes),
    })
    return text.length
  }

  #find(task: BuildTask, spec: TreeSpec | null, root: TreeRoot | null): FindStored {
    if (!spec || !root) return async () => null
    const reader = new TreeReader(spec, new ChunkReader(this.#store, task.secrets.dataKeys), task.secrets)
    const stored = new StoredLeaves(reader, root, new Set(task.previous?.lostPacks))
    return (lastKey, digest) => stored.find(lastKey, digest)
  }
}

async function* iterate(text: Buffer): AsyncGenerator<Uint8Array> {
  yield text
}
