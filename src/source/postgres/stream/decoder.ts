/**
 * The messages of pgoutput, gathered into transactions in the order of their commits.
 *
 *     sent whole      B … I U D T … C                                       (protocol 1, and small ones in 2)
 *     sent in pieces  S … I U D T … E   S … E   A(subtransaction)   c       (protocol 2: between other transactions)
 *
 * A Relation message describes a table for what follows it. Inside a piece it holds for that transaction only, and for
 * everybody when it commits (P14): the catalog change it tells of may still be rolled back. Which column is the how
 * manieth of the primary key is not in the stream; so after `take`, whatever is in `unresolved` must be given its table
 * before the next message.
 */
import type { CapturedTransaction, RowChange, StreamEvent } from '../../change-contract.ts'
import { GatheredChanges } from './gathered.ts'
import { LineWriter, malformed } from './lines.ts'
import { type Relation, readRelation, readText } from './relation.ts'

/** Between 1970 and 2000, where PostgreSQL's time begins. */
const EPOCH_US = 946_684_800_000_000n
/** Of our own messages in the stream (P21). */
export const MESSAGE_PREFIX = 'chartkeep'
export const SEAL_MESSAGE = 'seal'

const TRANSACTIONAL = 1
const KIND_NEW = 0x4e
const KIND_KEY = 0x4b
const KIND_OLD = 0x4f

export interface DecoderOptions {
  readonly spillDirectory: string
  /** Words that the server quotes as names. */
  readonly reserved: ReadonlySet<string>
  readonly isWanted: (relation: Pick<Relation, 'oid' | 'rawName'>) => boolean
  /** Transactions without a change are delivered too: for a server that cannot tell our messages. */
  readonly keepsEmpty: boolean
}

export interface Unresolved {
  readonly relation: Relation
  /** The catalogs must be asked at or behind it; null when nobody knows yet. */
  readonly lsn: bigint | null
}

interface Gathering {
  readonly xid: number
  readonly changes: GatheredChanges
  /** Descriptions that came with it, newest last; of a transaction sent in pieces only. */
  readonly relations: Map<number, { readonly maker: number; readonly relation: Relation }[]>
  /** What we wrote into it ourselves. */
  messages: { readonly maker: number; readonly text: string }[]
}

export class Decoder {
  readonly #options: DecoderOptions
  readonly #lines = new LineWriter()
  readonly #relations = new Map<number, Relation>()
  /** Sent in pieces, by number. */
  readonly #pieces = new Map<number, Gathering>()
  #current: Gathering | null = null
  #currentLsn: bigint | null = null
  /** Inside a piece: each message carries the number of the subtransaction that made it. */
  #isPiece = false
  readonly #kept = new Set<GatheredChanges>()
  #ready: StreamEvent[] = []
  unresolved: Unresolved[] = []

  constructor(options: DecoderOptions) {
    this.#options = options
  }

  /** What is complete, in order. */
  drain(): StreamEvent[] {
    const ready = this.#ready
    if (ready.length > 0) this.#ready = []
    return ready
  }

  /** The server says that everything before `lsn` has been sent. */
  reach(lsn: bigint): void {
    this.#ready.push({ kind: 'position', lsn })
  }

  /** Frees the files of what was not delivered, or not read. */
  dispose(): void {
    for (const { changes } of this.#pieces.values()) changes[Symbol.dispose]()
    this.#current?.changes[Symbol.dispose]()
    for (const changes of this.#kept) changes[Symbol.dispose]()
  }

  /** One message, which reaches from `start` to `end`. */
  take(bytes: Buffer, start: number, end: number): void {
    const body = start + 1
    switch (bytes[start]) {
      case 0x42: // Begin
        this.#begin(bytes, body)
        break
      case 0x43: // Commit
        this.#commit(this.#need(), bytes, body + 1)
        break
      case 0x49: // Insert
        this.#insert(bytes, body, end)
        break
      case 0x55: // Update
        this.#update(bytes, body, end)
        break
      case 0x44: // Delete
        this.#delete(bytes, body, end)
        break
      case 0x54: // Truncate
        this.#truncate(bytes, body)
        break
      case 0x52: // Relation
        this.#describe(bytes, body)
        break
      case 0x4d: // Message
        this.#message(bytes, body)
        break
      case 0x53: // Stream Start
        this.#openPiece(bytes.readUInt32BE(body))
        break
      case 0x45: // Stream Stop
        this.#current = null
        this.#isPiece = false
        break
      case 0x63: // Stream Commit
        this.#commitPieces(bytes, body)
        break
      case 0x41: // Stream Abort
        this.#abort(bytes.readUInt32BE(body), bytes.readUInt32BE(body + 4))
        break
      case 0x4f: // Origin
      case 0x59: // Type
        break
      default:
        throw malformed()
    }
  }

  #begin(bytes: Buffer, at: number): void {
    if (this.#current !== null) throw malformed()
    this.#currentLsn = bytes.readBigUInt64BE(at)
    this.#current = this.#gather(bytes.readUInt32BE(at + 16), false)
  }

  #gather(xid: number, isStreamed: boolean): Gathering {
    const changes = new GatheredChanges(this.#options.spillDirectory, { isStreamed })
    return { xid, changes, relations: new Map(), messages: [] }
  }

  #openPiece(xid: number): void {
    if (this.#current !== null) throw malformed()
    let gathering = this.#pieces.get(xid)
    if (gathering === undefined) {
      gathering = this.#gather(xid, true)
      this.#pieces.set(xid, gathering)
    }
    this.#current = gathering
    this.#currentLsn = null
    this.#isPiece = true
  }

  #commitPieces(bytes: Buffer, at: number): void {
    const xid = bytes.readUInt32BE(at)
    const gathering = this.#pieces.get(xid) ?? this.#gather(xid, true)
    this.#pieces.delete(xid)
    const lsn = bytes.readBigUInt64BE(at + 5)
    for (const descriptions of gathering.relations.values()) {
      // The server takes them as known from here on; the primary key may be another one by now.
      const last = descriptions.at(-1)
      if (last !== undefined) this.#know({ ...last.relation }, lsn)
    }
    this.#commit(gathering, bytes, at + 5)
  }

  #commit(gathering: Gathering, bytes: Buffer, at: number): void {
    this.#current = null
    const { xid, changes, messages } = gathering
    const isSeal = messages.some(({ text }) => text === SEAL_MESSAGE)
    const mark = messages.findLast(({ text }) => text !== SEAL_MESSAGE)?.text ?? null
    const endLsn = bytes.readBigUInt64BE(at + 8)
    const changeCount = changes.changeCount
    if (changeCount === 0) changes[Symbol.dispose]()
    else if (changes.isSpilled) this.#kept.add(changes)
    if (changeCount > 0 || mark !== null || isSeal || this.#options.keepsEmpty) {
      const transaction: CapturedTransaction = {
        xid,
        commitLsn: bytes.readBigUInt64BE(at),
        endLsn,
        commitTimeUs: bytes.readBigInt64BE(at + 16) + EPOCH_US,
        mark,
        changeCount,
        textBytes: changes.textBytes,
        changes: changes.isSpilled ? this.#released(changes) : changes.read(),
      }
      this.#ready.push({ kind: 'transaction', transaction })
    }
    if (isSeal) this.#ready.push({ kind: 'seal-requested', lsn: endLsn })
  }

  async *#released(changes: GatheredChanges): AsyncGenerator<readonly RowChange[]> {
    try {
      yield* changes.read()
    } finally {
      this.#kept.delete(changes)
    }
  }

  #abort(xid: number, subxid: number): void {
    const gathering = this.#pieces.get(xid)
    if (gathering === undefined) return
    if (subxid === xid) {
      gathering.changes[Symbol.dispose]()
      this.#pieces.delete(xid)
      return
    }
    gathering.changes.rollBack(subxid)
    gathering.messages = gathering.messages.filter(({ maker }) => maker !== subxid)
    for (const [oid, descriptions] of gathering.relations) {
      gathering.relations.set(
        oid,
        descriptions.filter(({ maker }) => maker !== subxid),
      )
    }
  }

  #insert(bytes: Buffer, start: number, end: number): void {
    const at = this.#isPiece ? start + 4 : start
    const relation = this.#relation(bytes.readUInt32BE(at))
    if (relation.table === null) return
    if (bytes[at + 4] !== KIND_NEW) throw malformed()
    const after = this.#lines.read(bytes, at + 5, end, null)
    this.#add({ kind: 'insert', table: relation.table, before: null, after }, bytes, start)
  }

  #update(bytes: Buffer, start: number, end: number): void {
    let at = this.#isPiece ? start + 4 : start
    const relation = this.#relation(bytes.readUInt32BE(at))
    if (relation.table === null) return
    at += 4
    let before: Uint8Array | null = null
    if (bytes[at] !== KIND_NEW) {
      before = this.#readBefore(bytes, at, end, relation)
      at = this.#lines.at
    }
    if (bytes[at] !== KIND_NEW) throw malformed()
    const after = this.#lines.read(bytes, at + 1, end, null)
    this.#add({ kind: 'update', table: relation.table, before, after }, bytes, start)
  }

  #delete(bytes: Buffer, start: number, end: number): void {
    const at = this.#isPiece ? start + 4 : start
    const relation = this.#relation(bytes.readUInt32BE(at))
    if (relation.table === null) return
    const before = this.#readBefore(bytes, at + 4, end, relation)
    this.#add({ kind: 'delete', table: relation.table, before, after: null }, bytes, start)
  }

  /** In a key tuple, null stands for every column that is not of the key: which is not to say that it is NULL. */
  #readBefore(bytes: Buffer, at: number, end: number, relation: Relation): Uint8Array {
    const kind = bytes[at]
    if (kind !== KIND_KEY && kind !== KIND_OLD) throw malformed()
    return this.#lines.read(bytes, at + 1, end, kind === KIND_KEY ? relation.keyFlags : null)
  }

  #truncate(bytes: Buffer, start: number): void {
    const at = this.#isPiece ? start + 4 : start
    const count = bytes.readUInt32BE(at)
    for (let index = 0; index < count; index += 1) {
      const { table } = this.#relation(bytes.readUInt32BE(at + 5 + 4 * index))
      if (table !== null) this.#add({ kind: 'truncate', table, before: null, after: null }, bytes, start)
    }
  }

  #add(change: RowChange, bytes: Buffer, start: number): void {
    const gathering = this.#need()
    gathering.changes.add(change, this.#isPiece ? bytes.readUInt32BE(start) : 0)
  }

  #describe(bytes: Buffer, start: number): void {
    const relation = readRelation(bytes, this.#isPiece ? start + 4 : start, this.#options.reserved)
    if (!this.#isPiece) {
      this.#know(relation, this.#currentLsn)
      return
    }
    const { relations } = this.#need()
    const descriptions = relations.get(relation.oid) ?? []
    descriptions.push({ maker: bytes.readUInt32BE(start), relation })
    relations.set(relation.oid, descriptions)
    this.#resolve(relation, null)
  }

  #know(relation: Relation, lsn: bigint | null): void {
    this.#relations.set(relation.oid, relation)
    this.#resolve(relation, lsn)
  }

  #resolve(relation: Relation, lsn: bigint | null): void {
    if (this.#options.isWanted(relation)) this.unresolved.push({ relation, lsn })
  }

  #relation(oid: number): Relation {
    const own = this.#isPiece ? this.#need().relations.get(oid)?.at(-1)?.relation : undefined
    const relation = own ?? this.#relations.get(oid)
    if (relation === undefined) throw malformed()
    return relation
  }

  #message(bytes: Buffer, start: number): void {
    const at = this.#isPiece ? start + 4 : start
    const isTransactional = (bytes[at]! & TRANSACTIONAL) !== 0
    const lsn = bytes.readBigUInt64BE(at + 1)
    const prefix = readText(bytes, at + 9)
    if (prefix.text !== MESSAGE_PREFIX) return
    const length = bytes.readUInt32BE(prefix.end)
    const text = bytes.toString('utf8', prefix.end + 4, prefix.end + 4 + length)
    if (!isTransactional) {
      if (text === SEAL_MESSAGE) this.#ready.push({ kind: 'seal-requested', lsn })
      return
    }
    this.#need().messages.push({ maker: this.#isPiece ? bytes.readUInt32BE(start) : 0, text })
  }

  #need(): Gathering {
    if (this.#current === null) throw malformed()
    return this.#current
  }
}
