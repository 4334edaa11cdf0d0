/**
 * Worker: reads one table of a consistent read and builds the leaves of its trees.
 *
 * In:   BuildTableTask, with a port of its own.
 * Out:  on the port, `{ kind: 'leaves' }` in key order for each tree and `{ kind: 'read' }` for progress, then `{ kind: 'end' }`; as result
 *       `{ ok: true, bytesRead }` or `{ ok: false, failure }`.
 * Back: on the port, `{ kind: 'taken', bytes }` as the control side has dealt with leaves, so that no more than
 *       UNTAKEN_BYTES_MAX wait there; `{ kind: 'stop' }` when nobody wants the rest.
 *
 * Owns a read connection to the source and a read handle of the store; knows nothing of snapshots.
 */
import type { MessagePort } from 'node:worker_threads'
import { Failure, type FailureRecord, toFailureRecord } from '../src/errors.ts'
import { buildTable, type FindStored, type TreeKind } from '../src/repository/build/build-table.ts'
import { batchMemory, type LeafBatch, packLeaves } from '../src/repository/build/leaf-batch.ts'
import type { RepositorySecrets } from '../src/repository/keyring.ts'
import { ChunkReader } from '../src/repository/pack/chunk-reader.ts'
import type { StoreCapabilities, StoreSettings } from '../src/repository/store/contract.ts'
import { openStore } from '../src/repository/store/open.ts'
import { locatorSpec, type TreeSpec } from '../src/repository/tree/spec.ts'
import { StoredLeaves } from '../src/repository/tree/stored-leaves.ts'
import { TreeReader } from '../src/repository/tree/tree-reader.ts'
import type { TreeRoot } from '../src/repository/tree/tree-root.ts'
import type { BuiltLeaf } from '../src/repository/tree/tree-writer.ts'
import type { ReadTicket, TableTicket } from '../src/source/contract.ts'
import { readTable } from '../src/source/open.ts'

export interface BuildTableTask {
  readonly ticket: ReadTicket
  readonly table: TableTicket
  readonly spec: TreeSpec
  readonly secrets: RepositorySecrets
  /** Trees whose leaves need not be built again; with the store that has them. */
  readonly previous: {
    readonly store: StoreSettings
    /** As the control side found them: not every thread should probe. */
    readonly capabilities: StoreCapabilities
    readonly rows: TreeRoot | null
    readonly locator: TreeRoot | null
    /** Packs that are not there, or not whole. */
    readonly lostPacks: readonly string[]
  } | null
  /** False where only digests are wanted. */
  readonly encode: boolean
  readonly runBytes: number
  readonly spillDirectory: string
  readonly port: MessagePort
}

export type BuildMessage =
  | { readonly kind: 'leaves'; readonly tree: TreeKind; readonly batch: LeafBatch; readonly bytes: number }
  | { readonly kind: 'read'; readonly bytes: number }
  /** The previous snapshot's trees could not be read or are not whole: what they lost was built anew. */
  | { readonly kind: 'previous-damaged' }
  /** Nothing follows. */
  | { readonly kind: 'end' }

export type ControlMessage = { readonly kind: 'taken'; readonly bytes: number } | { readonly kind: 'stop' }

export type BuildResult =
  | { readonly ok: true; readonly bytesRead: number }
  | { readonly ok: false; readonly failure: FailureRecord }

const UNTAKEN_BYTES_MAX = 8 * 1024 * 1024
const BATCH_BYTES = 512 * 1024
const READ_REPORT_BYTES = 1024 * 1024
/** What a leaf costs on its way beside its payload. */
const LEAF_OVERHEAD_BYTES = 256

export default async function run(task: BuildTableTask): Promise<BuildResult> {
  const sender = new LeafSender(task.port)
  try {
    const bytesRead = await build(task, sender)
    await sender.flush()
    return { ok: true, bytesRead }
  } catch (error) {
    return { ok: false, failure: toFailureRecord(sender.stopReason ?? error) }
  } finally {
    sender.end()
  }
}

async function build(task: BuildTableTask, sender: LeafSender): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const store = task.previous ? await openStore(task.previous.store, task.previous.capabilities) : null
  if (store) stack.defer(() => store.close())
  const lostPacks = new Set(task.previous?.lostPacks)
  const trees: StoredLeaves[] = []
  const find = (spec: TreeSpec | null, root: TreeRoot | null): FindStored => {
    if (!store || !spec || !root) return async () => null
    const reader = new TreeReader(spec, new ChunkReader(store, task.secrets.dataKeys), task.secrets)
    const stored = new StoredLeaves(reader, root, lostPacks)
    trees.push(stored)
    return (lastKey, digest) => stored.find(lastKey, digest)
  }

  let bytesRead = 0
  let bytesReported = 0
  await buildTable({
    ...task,
    lines: readTable(task.ticket, task.table, sender.stopped),
    keys: task.secrets,
    findStored: {
      rows: find(task.spec, task.previous?.rows ?? null),
      locator: find(locatorSpec(task.spec), task.previous?.locator ?? null),
    },
    onLeaf: (tree, leaf) => sender.send(tree, leaf),
    onRead: (bytes) => {
      bytesRead += bytes
      if (bytesRead - bytesReported < READ_REPORT_BYTES) return
      sender.report(bytesRead - bytesReported)
      bytesReported = bytesRead
    },
  })
  sender.report(bytesRead - bytesReported)
  if (trees.some((tree) => tree.damaged)) sender.reportDamage()
  return bytesRead
}

/** Sends leaves in batches, and waits while too many are on their way. */
class LeafSender {
  readonly #port: MessagePort
  readonly #stop = new AbortController()
  #tree: TreeKind = 'rows'
  #batch: BuiltLeaf[] = []
  #batchBytes = 0
  #untakenBytes = 0
  #wake: (() => void) | null = null

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (message: ControlMessage) => this.#hear(message))
  }

  get stopped(): AbortSignal {
    return this.#stop.signal
  }

  get stopReason(): unknown {
    return this.#stop.signal.aborted ? this.#stop.signal.reason : null
  }

  async send(tree: TreeKind, leaf: BuiltLeaf): Promise<void> {
    if (tree !== this.#tree) await this.flush()
    this.#tree = tree
    this.#batch.push(leaf)
    this.#batchBytes += LEAF_OVERHEAD_BYTES + (leaf.payload?.length ?? 0)
    if (this.#batchBytes >= BATCH_BYTES) await this.flush()
  }

  async flush(): Promise<void> {
    this.#stop.signal.throwIfAborted()
    if (this.#batch.length === 0) return
    this.#untakenBytes += this.#batchBytes
    const batch = packLeaves(this.#batch)
    const message: BuildMessage = { kind: 'leaves', tree: this.#tree, batch, bytes: this.#batchBytes }
    this.#port.postMessage(message, batchMemory(batch))
    this.#batch = []
    this.#batchBytes = 0
    while (this.#untakenBytes > UNTAKEN_BYTES_MAX && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#stop.signal.throwIfAborted()
  }

  report(bytes: number): void {
    const message: BuildMessage = { kind: 'read', bytes }
    if (bytes > 0) this.#port.postMessage(message)
  }

  reportDamage(): void {
    const message: BuildMessage = { kind: 'previous-damaged' }
    this.#port.postMessage(message)
  }

  end(): void {
    const message: BuildMessage = { kind: 'end' }
    this.#port.postMessage(message)
    this.#port.close()
  }

  #hear(message: ControlMessage): void {
    if (message.kind === 'taken') this.#untakenBytes -= message.bytes
    else this.#stop.abort(new Failure('cancelled', 'the reading of a table was stopped'))
    this.#wake?.()
  }
}
