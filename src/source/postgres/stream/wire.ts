/**
 * A replication connection in its copy-both mode: the server's messages come out one by one, and our status reports go
 * in between. While it runs, the driver's own reader of the socket stands aside (as in `copy-out.ts`); an error, or the end,
 * is given back to it. Nothing is read while nobody asks: that is what makes the server wait for a slow reader.
 */
import type { Duplex } from 'node:stream'
import type { Connection, Submittable } from 'pg'
import { Failure } from '../../../errors.ts'
import { FrameReader } from './frames.ts'

type SocketReader = (chunk: Buffer) => void

/** Header, kind, three positions, a time, and whether an answer is wanted. */
const REPORT_BYTES = 39

export class ReplicationWire implements Submittable {
  readonly frames = new FrameReader()
  readonly #statement: string
  #connection: Connection | undefined
  #driverReader: SocketReader | undefined
  #wake: () => void = () => {}
  #ending: Error | undefined
  /** Whether a reader waits for the server. */
  isWaiting = false
  /** Counts what came: who watches for silence compares. */
  chunksRead = 0

  constructor(statement: string) {
    this.#statement = statement
  }

  /** Waits for more, and hands it to `frames`. @throws what ended the stream */
  async more(): Promise<void> {
    for (;;) {
      // What is given back may be the error that ends the stream: looked at before anybody waits.
      if (this.frames.rest !== null) this.#giveBack(this.frames.rest)
      if (this.#ending !== undefined) throw this.#ending
      const chunk: Buffer | null = this.frames.rest === null ? (this.#connection?.stream.read() ?? null) : null
      if (chunk !== null) {
        this.chunksRead += 1
        this.frames.push(chunk)
        return
      }
      this.isWaiting = true
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.isWaiting = false
    }
  }

  /** Ends the stream from our side; a waiting reader gets `error`. */
  end(error: Error): void {
    this.#ending ??= error
    this.#wake()
  }

  /** What we say of positions, and whether the server shall answer at once. */
  report(positions: { readonly received: bigint; readonly confirmed: bigint; readonly wantsReply: boolean }): void {
    const socket = this.#connection?.stream
    if (socket === undefined || this.#ending !== undefined || this.frames.rest !== null || !socket.writable) return
    const report = Buffer.alloc(REPORT_BYTES)
    report.write('d')
    report.writeUInt32BE(REPORT_BYTES - 1, 1)
    report.write('r', 5)
    report.writeBigUInt64BE(positions.received, 6)
    report.writeBigUInt64BE(positions.confirmed, 14)
    report.writeBigUInt64BE(positions.confirmed, 22)
    // The time stays 0: the server only shows it.
    report.writeUInt8(positions.wantsReply ? 1 : 0, 38)
    socket.write(report)
  }

  // What follows is called by the driver.

  submit(connection: Connection): void {
    const socket: Duplex = connection.stream
    const [reader] = socket.listeners('data') as SocketReader[]
    if (reader) socket.removeListener('data', reader)
    this.#driverReader = reader
    this.#connection = connection
    socket.on('readable', () => this.#wake())
    connection.query(this.#statement)
  }

  handleError(error: Error): void {
    this.end(error)
  }

  handleCommandComplete(): void {
    this.end(connectionEnded())
  }

  handleReadyForQuery(): void {
    this.end(connectionEnded())
  }

  handleCopyData(): void {}

  #giveBack(rest: Buffer): void {
    const socket = this.#connection?.stream
    const reader = this.#driverReader
    if (!socket || !reader) return
    this.#driverReader = undefined
    socket.removeAllListeners('readable')
    socket.on('data', reader)
    reader(rest)
    socket.resume()
  }
}

function connectionEnded(): Failure {
  return new Failure('source-unreachable', 'the server ended the stream of changes', {
    hints: ['It may be shutting down. Check whether the server is up.'],
  })
}
