/** What the tests of the change stream share: a database that is captured, and what came out of its stream. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from '../../../../scripts/support/postgres-server.ts'
import type {
  CapturedTransaction,
  ChangeSource,
  ChangeStream,
  RowChange,
  StreamEvent,
} from '../../../../src/source/change-contract.ts'
import type { Source } from '../../../../src/source/contract.ts'
import { openSource } from '../../../../src/source/open.ts'
import { connectClient, runSql, someVersions, type TestClient } from '../support.ts'

/** 14 is the first that streams, 18 the newest that is here. */
export const streamVersions = someVersions([14, 18])

export const SLOT = 'chartkeep_test'
export const SILENCE_MS = 20_000

export interface Captured extends AsyncDisposable {
  readonly url: string
  readonly source: Source
  readonly changes: ChangeSource
  readonly client: TestClient
  readonly spillDirectory: string
  readonly slot: string
  /** Until nobody follows the slot: the server notices after us that a stream is gone. */
  free(): Promise<void>
  open(tables?: readonly string[], options?: { readonly silenceMaxMs?: number }): Promise<Followed>
}

/** A stream, read as far as a test asks. */
export class Followed implements AsyncDisposable {
  readonly stream: ChangeStream
  readonly abort: AbortController
  readonly #events: AsyncIterator<StreamEvent>

  constructor(stream: ChangeStream, abort: AbortController) {
    this.stream = stream
    this.abort = abort
    this.#events = stream.events()[Symbol.asyncIterator]()
  }

  async next(): Promise<StreamEvent> {
    const { value, done } = await this.#events.next()
    if (done) throw new Error('the stream ended')
    return value
  }

  async nextTransaction(): Promise<CapturedTransaction> {
    for (;;) {
      const event = await this.next()
      if (event.kind === 'transaction' && event.transaction.changeCount !== 0) return event.transaction
    }
  }

  /** Everything until the seal that is asked for now. */
  async untilSeal(changes: ChangeSource): Promise<Told[]> {
    const wanted = await changes.requestSeal()
    return await this.until(wanted)
  }

  async until(lsn: bigint): Promise<Told[]> {
    const told: Told[] = []
    for (;;) {
      const event = await this.next()
      if (event.kind === 'transaction') {
        if (event.transaction.changeCount !== 0) told.push(await tell(event.transaction))
      } else if (event.lsn >= lsn) return told
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stream[Symbol.asyncDispose]()
  }
}

export interface Told {
  readonly transaction: CapturedTransaction
  readonly changes: readonly RowChange[]
  /** `insert public.t - 1|x`, with the fields of each line between bars, and `-` for no line. */
  readonly lines: readonly string[]
}

export async function tell(transaction: CapturedTransaction): Promise<Told> {
  const changes: RowChange[] = []
  for await (const batch of transaction.changes) changes.push(...batch)
  return { transaction, changes, lines: changes.map(shown) }
}

function shown({ kind, table, before, after }: RowChange): string {
  const line = (bytes: Uint8Array | null) =>
    bytes === null ? '-' : Buffer.from(bytes).toString('latin1').replaceAll('\t', '|')
  return `${kind} ${table.name} ${line(before)} ${line(after)}`
}

export interface CaptureOptions {
  readonly sql: readonly string[]
  /** What the publication lists; all of `FOR TABLE`. */
  readonly publish?: string
  /** Of a database that is there already. */
  readonly url?: string
}

let databases = 0

/** A database with a publication and, unless it is to be made by the test, a slot. */
export async function capture(server: PostgresServer, options: CaptureOptions): Promise<Captured> {
  databases += 1
  const { sql, publish } = options
  const url = options.url ?? (await server.createDatabase(`stream_${databases}`))
  await runSql(url, ...sql)
  if (publish !== undefined)
    await runSql(url, `SET client_encoding = UTF8; CREATE PUBLICATION chartkeep FOR TABLE ${publish}`)
  const source = await openSource({ url })
  const { changes } = source
  if (changes === null) throw new Error('the source tells no changes')
  const client = await connectClient(url)
  const spillDirectory = await mkdtemp(join(tmpdir(), 'chartkeep-stream-test-'))
  if (publish !== undefined)
    await changes.createSlot(SLOT_OF(url), { lockTimeoutMs: 5000, signal: new AbortController().signal })
  return {
    url,
    source,
    changes,
    client,
    spillDirectory,
    slot: SLOT_OF(url),
    async free() {
      while ((await changes.slotState(SLOT_OF(url)))?.active) await sleep(20)
    },
    async open(tables, options) {
      const abort = new AbortController()
      const names = tables ?? (await source.introspect()).tables.map((table) => table.name)
      const stream = await changes.openStream({
        slot: SLOT_OF(url),
        tables: names,
        spillDirectory,
        signal: abort.signal,
        silenceMaxMs: options?.silenceMaxMs ?? SILENCE_MS,
      })
      return new Followed(stream, abort)
    },
    async [Symbol.asyncDispose]() {
      await Promise.resolve(client[Symbol.asyncDispose]()).catch(() => {})
      await changes.dropSlot(SLOT_OF(url)).catch(() => {})
      await source[Symbol.asyncDispose]()
      await rm(spillDirectory, { recursive: true, force: true })
    },
  }
}

/** Slots are the server's, not the database's. */
export function SLOT_OF(url: string): string {
  return `${SLOT}_${new URL(url).pathname.slice(1)}`
}
