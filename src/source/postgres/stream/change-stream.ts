/**
 * Follows a slot: transactions in the order of their commits, positions in between, and reports to the server.
 *
 *     server ── XLogData, keepalives ─→ wire ─→ decoder ─→ events()
 *            ←─ status reports ──────── once a second, and at once when asked
 *
 * Reports say as durable only what `confirm` was given (I5): nothing is confirmed by receiving it, nor by time passing
 * (P6, F43). A second session, for questions to the catalogs, also tells when the server shuts down: the server would
 * wait with that until everything it sent is confirmed, which never is the case, because confirmation stays behind.
 */
import { Failure } from '../../../errors.ts'
import type { ChangeStream, StreamEvent, StreamOptions } from '../../change-contract.ts'
import type { ConnectionSettings, SourceIdentity } from '../../contract.ts'
import { silent, withinSilence } from '../../silence.ts'
import { connect, type Session, type SessionPurpose } from '../connect.ts'
import { readIdentity } from '../identity.ts'
import { quoteName, quoteText } from '../quote.ts'
import { parseUrl, withApplicationName } from '../url.ts'
import { Decoder } from './decoder.ts'
import { publicationMissing, slotInUse, slotLost, slotMissing, streamFailure } from './failures.ts'
import { malformed } from './lines.ts'
import { readSlotState } from './slot.ts'
import { readReserved, TableDirectory } from './tables.ts'
import { ReplicationWire } from './wire.ts'

const STREAMING_SINCE = 140_000
const REPORT_INTERVAL_MS = 1000
/** How often a silent server is asked for a sign of life, within the silence that is allowed. */
const ASKS_PER_SILENCE = 4
const ASK_INTERVAL_MAX_MS = 10_000

const XLOG_DATA = 0x77
const KEEPALIVE = 0x6b
/** Kind, two positions and a time. */
const XLOG_HEADER_BYTES = 25

export interface StreamSource {
  readonly connection: ConnectionSettings
  readonly publication: string
}

/** @throws slot-missing, slot-lost, slot-in-use, missing-rights, cannot-capture, source-… */
export async function openChangeStream(source: StreamSource, options: StreamOptions): Promise<ChangeStream> {
  options.signal.throwIfAborted()
  const opened = new AsyncDisposableStack()
  try {
    return await withinSilence(assemble(source, options, opened), options.silenceMaxMs)
  } catch (error) {
    await opened.disposeAsync()
    throw streamFailure(error, { slot: options.slot, doing: `following slot ${options.slot}` })
  }
}

async function assemble(source: StreamSource, options: StreamOptions, opened: AsyncDisposableStack) {
  const { questions, replication } = await openSessions(source, opened)
  const identity = await readIdentity(questions)
  await assertSlotUsable(questions, options.slot)
  await assertPublished(questions, source.publication)
  const tables = await TableDirectory.open(questions, options.tables)
  const decoder = new Decoder({
    spillDirectory: options.spillDirectory,
    reserved: await readReserved(questions),
    isWanted: (relation) => tables.isWanted(relation),
    keepsEmpty: questions.serverVersionNumber < STREAMING_SINCE,
  })
  opened.defer(() => decoder.dispose())
  const wire = new ReplicationWire(startStatement(source.publication, options.slot, questions.serverVersionNumber))
  const stream = new RunningStream({ identity, options, wire, decoder, tables, questions, replication, opened })
  stream.start()
  return stream
}

async function openSessions({ connection }: StreamSource, opened: AsyncDisposableStack) {
  const name = parseUrl(connection.url).applicationName
  const named = (what: string) => ({ ...connection, url: withApplicationName(connection.url, `${name} ${what}`) })
  const questions = await connectFor(opened, named('stream questions'), 'read')
  const replication = await connectFor(opened, named('stream'), 'stream')
  return { questions, replication }
}

/** The socket is torn down at the end: a half-open connection would not answer to a farewell. */
async function connectFor(opened: AsyncDisposableStack, settings: ConnectionSettings, purpose: SessionPurpose) {
  const session = await connect(settings, purpose)
  if (opened.disposed) {
    session.destroy()
    throw new Failure('cancelled', 'the stream was given up before it was open')
  }
  opened.defer(() => session.destroy())
  return session
}

async function assertSlotUsable(session: Session, slot: string): Promise<void> {
  const state = await readSlotState(session, slot)
  if (state === null) throw slotMissing(slot)
  if (state.walStatus.startsWith('lost')) throw slotLost(slot, state.walStatus)
  if (state.active) throw slotInUse(slot)
}

async function assertPublished(session: Session, publication: string): Promise<void> {
  const rows = await session.query('SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', [publication])
  if (rows.length === 0) throw publicationMissing()
}

/** From where the server says the slot stands: a position of ours would be taken on trust, and could skip (P5). */
function startStatement(publication: string, slot: string, version: number): string {
  const modern = version >= STREAMING_SINCE
  const parameters = [
    `proto_version '${modern ? 2 : 1}'`,
    `publication_names ${quoteText(quoteName(publication))}`,
    ...(modern ? [`streaming 'on'`, `messages 'true'`] : []),
  ]
  return `START_REPLICATION SLOT ${quoteName(slot)} LOGICAL 0/0 (${parameters.join(', ')})`
}

interface Parts {
  readonly identity: SourceIdentity
  readonly options: StreamOptions
  readonly wire: ReplicationWire
  readonly decoder: Decoder
  readonly tables: TableDirectory
  readonly questions: Session
  readonly replication: Session
  readonly opened: AsyncDisposableStack
}

class RunningStream implements ChangeStream {
  readonly identity: SourceIdentity
  readonly #parts: Parts
  #received = 0n
  #position = 0n
  #confirmed = 0n
  #isDisposed = false

  constructor(parts: Parts) {
    this.identity = parts.identity
    this.#parts = parts
  }

  start(): void {
    const { wire, questions, replication, options, opened } = this.#parts
    const onAbort = () => this.#end(options.signal.reason)
    options.signal.addEventListener('abort', onAbort, { once: true })
    opened.defer(() => options.signal.removeEventListener('abort', onAbort))
    questions.client.once('end', () => this.#end(serverGone()))
    replication.client.once('end', () => this.#end(serverGone()))
    const watch = setInterval(() => this.#tick(), this.#tickMs)
    opened.defer(() => clearInterval(watch))
    replication.client.query(wire)
  }

  async *events(): AsyncGenerator<StreamEvent, void, undefined> {
    const { wire, decoder, options } = this.#parts
    try {
      for (;;) {
        await wire.more()
        while (wire.frames.next()) {
          this.#take(wire.frames.bytes, wire.frames.start, wire.frames.end)
          if (decoder.unresolved.length > 0) await this.#describeTables()
        }
        for (const event of decoder.drain()) {
          yield event
          if (options.signal.aborted) throw options.signal.reason
        }
      }
    } catch (error) {
      if (options.signal.aborted) throw options.signal.reason
      if (error instanceof RangeError) throw malformed()
      throw streamFailure(error, { slot: options.slot, doing: `following slot ${options.slot}` })
    }
  }

  confirm(lsn: bigint): void {
    if (lsn > this.#confirmed) this.#confirmed = lsn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return
    this.#isDisposed = true
    const { wire, opened } = this.#parts
    // What was confirmed last is told: the server would otherwise send it again.
    wire.report({ received: this.#received, confirmed: this.#confirmed, wantsReply: false })
    wire.end(new Failure('cancelled', 'the stream of changes was closed'))
    await opened.disposeAsync()
  }

  #take(bytes: Buffer, start: number, end: number): void {
    const { decoder } = this.#parts
    if (bytes[start] === XLOG_DATA) decoder.take(bytes, start + XLOG_HEADER_BYTES, end)
    else if (bytes[start] === KEEPALIVE) {
      const lsn = bytes.readBigUInt64BE(start + 1)
      if (lsn > this.#received) this.#received = lsn
      if (lsn > this.#position) {
        this.#position = lsn
        decoder.reach(lsn)
      }
      if (bytes[start + 17] === 1) this.#report(false)
    } else throw malformed()
  }

  async #describeTables(): Promise<void> {
    const { decoder, tables, options } = this.#parts
    const asked = decoder.unresolved
    decoder.unresolved = []
    for (const { relation, lsn } of asked) {
      relation.table = await withinSilence(tables.describe(relation, lsn), options.silenceMaxMs)
    }
  }

  /** At once, whether anybody reads or not: the server must not wait for us. */
  #end(reason: Error): void {
    this.#parts.wire.end(reason)
    this.#parts.replication.destroy()
  }

  get #tickMs(): number {
    return Math.min(REPORT_INTERVAL_MS, this.#parts.options.silenceMaxMs / ASKS_PER_SILENCE)
  }

  #silentMs = 0
  #unaskedMs = 0
  #chunksSeen = 0

  /** Silence counts only while we listen: when we are the slow side, the server has nothing to answer for. */
  #tick(): void {
    const { wire, options } = this.#parts
    const isSilent = wire.isWaiting && wire.chunksRead === this.#chunksSeen
    this.#chunksSeen = wire.chunksRead
    this.#silentMs = isSilent ? this.#silentMs + this.#tickMs : 0
    this.#unaskedMs += this.#tickMs
    if (this.#silentMs > options.silenceMaxMs) {
      this.#end(silent(options.silenceMaxMs))
      return
    }
    const asksEachMs = Math.min(ASK_INTERVAL_MAX_MS, options.silenceMaxMs / ASKS_PER_SILENCE)
    const wantsReply = this.#unaskedMs >= asksEachMs
    if (wantsReply) this.#unaskedMs = 0
    this.#report(wantsReply)
  }

  #report(wantsReply: boolean): void {
    const received = this.#received > this.#confirmed ? this.#received : this.#confirmed
    this.#parts.wire.report({ received, confirmed: this.#confirmed, wantsReply })
  }
}

function serverGone(): Failure {
  return new Failure('source-unreachable', 'the server ended the connection that the stream of changes needs', {
    hints: ['It may be shutting down. Check whether the server is up.'],
  })
}
