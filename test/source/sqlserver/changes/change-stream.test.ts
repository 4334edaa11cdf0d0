/**
 * What the stream tells of a database that commits, lags, cleans up and is altered (F9, F14, F15, P14): over the model of
 * `cdc-model.ts`, which is written from Microsoft's documentation, because no server with CDC runs here.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Failure } from '../../../../src/errors.ts'
import type { ChangeStream, RowChange, StreamEvent } from '../../../../src/source/change-contract.ts'
import { cdcChanges } from '../../../../src/source/sqlserver/changes/change-source.ts'
import { packLsn } from '../../../../src/source/sqlserver/changes/lsn.ts'
import { CdcModel, type Committed, type Edit, FAST_PACE, timeOf } from './cdc-model.ts'

const TABLES = ['dbo.a', 'dbo.b'] as const
const GAPS = ['slot-lost', 'history-differs', 'slot-missing']

function changesOf(model: CdcModel, pace = FAST_PACE) {
  return cdcChanges(async () => model.open(), pace)
}

function streamOptions(signal: AbortSignal) {
  return { slot: 's', tables: TABLES, spillDirectory: '/nowhere', signal, silenceMaxMs: 5_000 }
}

const slotOptions = { lockTimeoutMs: 1_000, signal: new AbortController().signal }

interface Told {
  readonly commitLsn: bigint
  readonly commitTimeUs: bigint
  readonly changes: readonly string[]
}

/** As one line each: table, operation, lines. */
function shown(change: RowChange): string {
  const [before, after] = [change.before, change.after].map((line) =>
    line === null ? '' : Buffer.from(line).toString(),
  )
  return `${change.table.name} ${change.kind} ${before} > ${after}`
}

const KINDS: Readonly<Record<number, string>> = { 1: 'delete', 2: 'insert', 4: 'update' }

/** What must be told of a transaction, of some tables. */
function expected({ rows }: Committed, tables: readonly string[]): string[] {
  const lines: { readonly command: number; readonly text: string }[] = []
  for (const [table, changes] of rows) {
    if (!tables.includes(table)) continue
    for (const [number, { command, operation, fields }] of changes.entries()) {
      if (operation === 3) continue
      const line = fields.join('\t')
      const before = operation === 4 ? changes[number - 1]!.fields.join('\t') : operation === 1 ? line : ''
      lines.push({ command, text: `${table} ${KINDS[operation]} ${before} > ${operation === 1 ? '' : line}` })
    }
  }
  return lines.sort((a, b) => a.command - b.command).map(({ text }) => text)
}

/** Reads until the position is reached. */
async function readUntil(events: AsyncIterator<StreamEvent>, lsn: bigint): Promise<Told[]> {
  const told: Told[] = []
  for (;;) {
    const { value: event, done } = await events.next()
    if (done || event === undefined) throw new Error('the stream ended')
    if (event.kind === 'transaction') {
      const { commitLsn, commitTimeUs, changes } = event.transaction
      const lines: string[] = []
      for await (const batch of changes) lines.push(...batch.map(shown))
      told.push({ commitLsn, commitTimeUs, changes: lines })
    } else if (event.lsn >= lsn) return told
  }
}

describe('the stream', () => {
  it('tells transactions in the order of commits, with their times, and operations in the order of commands', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    model.commit(
      { kind: 'insert', table: 'dbo.a', id: '1', value: 'x' },
      { kind: 'insert', table: 'dbo.b', id: '1', value: 'y' },
      { kind: 'update', table: 'dbo.a', id: '1', value: 'z' },
      { kind: 'rekey', table: 'dbo.a', id: '1', to: '2' },
      { kind: 'delete', table: 'dbo.b', id: '1' },
    )
    const end = model.commit({ kind: 'insert', table: 'dbo.b', id: '3', value: 'é\t' })
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    const told = await readUntil(stream.events()[Symbol.asyncIterator](), end)

    expect(told.map(({ changes }) => changes)).toEqual([
      // The mark that the slot was made with stands before it; of ours nothing is told.
      [
        'dbo.a insert  > 1\tx',
        'dbo.b insert  > 1\ty',
        'dbo.a update 1\tx > 1\tz',
        'dbo.a update 1\tz > 2\tz',
        'dbo.b delete 1\ty > ',
      ],
      ['dbo.b insert  > 3\té\\t'],
    ])
    expect(told.map(({ commitTimeUs }) => commitTimeUs)).toEqual([timeOf(3), timeOf(4)])
    expect(told[1]!.commitLsn).toBe(end - 1n)
  })

  it('answers a request for a seal, and says so behind the transaction that it is (P5)', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    model.commit({ kind: 'insert', table: 'dbo.a', id: '1', value: 'x' })
    const wanted = await changes.requestSeal()
    const kinds: string[] = []
    for await (const event of stream.events()) {
      kinds.push(event.kind === 'transaction' ? `${event.transaction.changeCount} changes` : event.kind)
      if (event.kind === 'seal-requested') expect(event.lsn).toBe(wanted)
      if (event.kind === 'position') break
    }

    expect(kinds).toEqual(['1 changes', '0 changes', 'seal-requested', 'position'])
  })

  it.each([
    1, 9,
  ])('names a restore of ours of %i rows by the mark in it, which asks for no seal (P21)', async (count) => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    const inserts = Array.from({ length: count }, (_, id) => {
      return { kind: 'insert', table: 'dbo.a', id: String(id), value: 'x' } as const
    })
    model.commitRestore('changeset 20260301T101500Z-00000001.0000000a NAME', ...inserts)
    model.commit({ kind: 'delete', table: 'dbo.a', id: '0' })
    const told: unknown[] = []
    for await (const event of stream.events()) {
      if (event.kind !== 'transaction') {
        told.push(event.kind)
        if (event.kind === 'position') break
        continue
      }
      let rows = 0
      for await (const batch of event.transaction.changes) rows += batch.length
      told.push([event.transaction.mark, rows])
    }

    expect(told).toEqual([['changeset 20260301T101500Z-00000001.0000000a NAME', count], [null, 1], 'position'])
  })

  it('says that the capture job stands still, and tells everything when it goes on (F9)', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model, { ...FAST_PACE, markLooks: 3 })
    await changes.createSlot('s', slotOptions)
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    model.captures = false
    model.commit({ kind: 'insert', table: 'dbo.a', id: '1', value: 'x' })

    await expect(changes.requestSeal()).rejects.toMatchObject({ code: 'source-failed', message: /capture job/ })
    model.captures = true
    const end = model.commit({ kind: 'insert', table: 'dbo.a', id: '2', value: 'y' })
    const told = await readUntil(stream.events()[Symbol.asyncIterator](), end)
    expect(told.flatMap(({ changes }) => changes)).toEqual(['dbo.a insert  > 1\tx', 'dbo.a insert  > 2\ty'])
  })

  it('waits for a capture job that lags, as long as it gets on', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model, { ...FAST_PACE, markLooks: 20 })
    model.captures = false
    for (let count = 0; count < 60; count += 1) model.commit()
    const scans = setInterval(() => model.scan(1), 2)
    const asked = changes.requestSeal().finally(() => clearInterval(scans))

    expect(await asked).toBeGreaterThan(packLsn(model.log[59]!.lsn))
  })

  it('is lost when clean-up has overtaken it while nobody followed (F14), and when it does in mid-read (F15)', async () => {
    for (const isInMidRead of [false, true]) {
      const model = new CdcModel(TABLES)
      await using changes = changesOf(model)
      await changes.createSlot('s', slotOptions)
      for (const id of ['1', '2', '3', '4', '5']) model.commit({ kind: 'insert', table: 'dbo.a', id, value: 'x' })
      const follow = async () => {
        await using stream = await changes.openStream(streamOptions(new AbortController().signal))
        await readUntil(stream.events()[Symbol.asyncIterator](), model.commit())
      }
      // A first time, so that the slot knows by which instances it is followed.
      await (await changes.openStream(streamOptions(new AbortController().signal)))[Symbol.asyncDispose]()
      if (isInMidRead) model.onPage = () => model.cleanUp(2)
      else model.cleanUp(2)

      await expect(follow()).rejects.toMatchObject({ code: 'slot-lost' })
      expect((await changes.slotState('s'))?.walStatus).toMatch(/^lost: clean-up/)
    }
  })

  it('is not lost to clean-up of what was confirmed', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    const events = stream.events()[Symbol.asyncIterator]()
    const end = model.commit({ kind: 'insert', table: 'dbo.a', id: '1', value: 'x' })
    await readUntil(events, end)
    stream.confirm(end)
    const later = model.commit({ kind: 'insert', table: 'dbo.a', id: '2', value: 'x' })
    model.cleanUp(2)

    expect(await readUntil(events, later)).toHaveLength(1)
    expect((await changes.slotState('s'))?.walStatus).toBe('reserved')
  })

  it('goes on with the other tables when an instance is gone', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    await using stream = await changes.openStream(streamOptions(new AbortController().signal))
    const events = stream.events()[Symbol.asyncIterator]()
    await readUntil(events, model.commit({ kind: 'insert', table: 'dbo.a', id: '1', value: 'x' }))
    model.disable('dbo.a')
    model.commit({ kind: 'insert', table: 'dbo.a', id: '2', value: 'x' })
    const end = model.commit({ kind: 'insert', table: 'dbo.b', id: '3', value: 'x' })

    expect((await readUntil(events, end)).flatMap((told) => told.changes)).toEqual(['dbo.b insert  > 3\tx'])
  })

  it('is followed by one', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    const stream = await changes.openStream(streamOptions(new AbortController().signal))

    await expect(changes.openStream(streamOptions(new AbortController().signal))).rejects.toMatchObject({
      code: 'slot-in-use',
    })
    expect((await changes.slotState('s'))?.active).toBe(true)
    await stream[Symbol.asyncDispose]()
    expect((await changes.slotState('s'))?.active).toBe(false)
  })

  it('ends when it is given up, and when the database was switched off or put back', async () => {
    const model = new CdcModel(TABLES)
    await using changes = changesOf(model)
    await changes.createSlot('s', slotOptions)
    const ended = async (happens: (stop: AbortController) => void) => {
      const stop = new AbortController()
      await using stream = await changes.openStream(streamOptions(stop.signal))
      const events = stream.events()[Symbol.asyncIterator]()
      await readUntil(events, model.commit())
      setTimeout(() => happens(stop), 5)
      return await readUntil(events, 2n ** 62n).catch((error: unknown) => error)
    }

    expect(await ended((stop) => stop.abort(new Error('stopped')))).toMatchObject({ message: 'stopped' })
    model.commit()
    expect(await ended(() => model.restore(2, () => {}))).toMatchObject({ code: 'history-differs' })
    model.slots.set('s', { confirmed: 1n, followed: {} })
    expect(await ended(() => Object.assign(model, { facts: { ...model.facts, isEnabled: false } }))).toMatchObject({
      code: 'slot-lost',
    })
  })
})

type Action =
  | { readonly kind: 'commit'; readonly edits: readonly number[] }
  | { readonly kind: 'scan'; readonly count: number }
  | { readonly kind: 'clean-up' | 'clean-up-in-mid-read'; readonly kept: number }
  | { readonly kind: 'enable-again' | 'enable-again-in-mid-read' | 'alter'; readonly table: number }
  | { readonly kind: 'follow'; readonly confirms: boolean }
  | { readonly kind: 'begin-again' }

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('commit' as const), edits: fc.array(fc.nat(999), { maxLength: 9 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('scan' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('follow' as const), confirms: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('clean-up' as const, 'clean-up-in-mid-read' as const),
      kept: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('enable-again' as const, 'enable-again-in-mid-read' as const, 'alter' as const),
      table: fc.nat(1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('begin-again' as const) }) },
)

/**
 * Stands in for capture: keeps what it was told, closes tables whose fingerprint changed, begins a new log when the
 * stream is lost. A table is *known* from a position on.
 */
class Follower {
  readonly gaps: string[] = []
  /** Transactions that were held against what was committed. */
  verified = 0
  readonly #model: CdcModel
  readonly #changes: ReturnType<typeof changesOf>
  #told: Told[] = []
  #end = 0n
  #knownFrom = new Map<string, bigint>()
  #digests = new Map<string, string>()
  #stream: ChangeStream | null = null
  #events: AsyncIterator<StreamEvent> | null = null

  constructor(model: CdcModel) {
    this.#model = model
    this.#changes = changesOf(model)
  }

  async begin(): Promise<void> {
    await this.letGo()
    await this.#changes.dropSlot('s')
    const fingerprint = await this.#changes.fingerprint()
    this.#digests = new Map(fingerprint.tables)
    const { startLsn } = await this.#changes.createSlot('s', slotOptions)
    this.#told = []
    this.#end = startLsn
    this.#knownFrom = new Map(TABLES.map((table) => [table, startLsn]))
  }

  async letGo(): Promise<void> {
    await this.#stream?.[Symbol.asyncDispose]()
    this.#stream = null
  }

  async follow(confirms: boolean): Promise<void> {
    try {
      await this.#follow(confirms)
    } catch (error) {
      if (!(error instanceof Failure) || !GAPS.includes(error.code)) throw error
      this.gaps.push(error.code)
      await this.begin()
    }
  }

  async #follow(confirms: boolean): Promise<void> {
    if (this.#stream === null) {
      this.#stream = await this.#changes.openStream(streamOptions(new AbortController().signal))
      this.#events = this.#stream.events()[Symbol.asyncIterator]()
    }
    const wanted = await this.#changes.requestSeal()
    for (const told of await readUntil(this.#events!, wanted)) {
      if (told.commitLsn < this.#end) {
        // Sent again: it is what it was, but of tables that another instance tells by now.
        await this.#forget()
        const kept = this.#told.find(({ commitLsn }) => commitLsn === told.commitLsn)
        expect(this.#ofKnown(told)).toEqual(kept === undefined ? [] : this.#ofKnown(kept))
      } else this.#told.push(told)
    }
    this.#end = this.#end > wanted ? this.#end : wanted
    await this.#seal(confirms)
  }

  /** The fingerprint after what it speaks of, as capture does. */
  async #seal(confirms: boolean): Promise<void> {
    const { tables } = await this.#changes.fingerprint()
    const closed = TABLES.filter((table) => tables.get(table) !== this.#digests.get(table))
    for (const table of closed) this.#knownFrom.set(table, packLsn(this.#model.log.at(-1)!.lsn) + 1n)
    this.#digests = new Map(tables)
    this.#verify()
    if (confirms) this.#stream?.confirm(this.#told.at(-1)?.commitLsn ?? this.#end)
    if (closed.length > 0) await this.letGo()
  }

  async #forget(): Promise<void> {
    const { tables } = await this.#changes.fingerprint()
    for (const table of TABLES)
      if (tables.get(table) !== this.#digests.get(table)) this.#knownFrom.set(table, 2n ** 64n)
  }

  #ofKnown({ commitLsn, changes }: Told): string[] {
    const known = TABLES.filter((table) => commitLsn >= this.#knownFrom.get(table)!)
    return changes.filter((line) => known.some((table) => line.startsWith(`${table} `)))
  }

  /** Exactly what was committed, in order; or it was declared that it is not. */
  #verify(): void {
    const must = this.#model.log.flatMap((entry) => {
      const commitLsn = packLsn(entry.lsn)
      if (commitLsn >= this.#end) return []
      const known = TABLES.filter((table) => commitLsn >= this.#knownFrom.get(table)!)
      const lines = expected(entry, known)
      return lines.length === 0 ? [] : [[String(commitLsn), ...lines]]
    })
    const told = this.#told.flatMap((each) => {
      const lines = this.#ofKnown(each)
      return lines.length === 0 ? [] : [[String(each.commitLsn), ...lines]]
    })
    expect(told).toEqual(must)
    this.verified += told.length
  }
}

/** Whatever fits the rows that are there. */
function editsOf(model: CdcModel, numbers: readonly number[]): Edit[] {
  const rows = new Map(TABLES.map((table) => [table as string, new Set(model.rows.get(table)!.keys())]))
  return numbers.flatMap((number): Edit[] => {
    const table = TABLES[number % 2]!
    const known = rows.get(table)!
    const id = String(Math.floor(number / 2) % 7)
    if (!known.has(id)) {
      known.add(id)
      return [{ kind: 'insert', table, id, value: `v${number}` }]
    }
    const how = Math.floor(number / 14) % 3
    if (how === 0) return [{ kind: 'update', table, id, value: `u${number}` }]
    known.delete(id)
    if (how === 1) return [{ kind: 'delete', table, id }]
    const to = `${id}${number}`
    known.add(to)
    return [{ kind: 'rekey', table, id, to }]
  })
}

it('tells exactly what was committed, or declares the gap, whatever happens (F9, F14, F15)', async () => {
  let [gaps, verified] = [0, 0]
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 15, maxLength: 60, size: 'max' }), async (actions) => {
      const model = new CdcModel(TABLES)
      const follower = new Follower(model)
      await follower.begin()
      const once = (happens: () => void) => {
        model.onPage = () => {
          model.onPage = () => {}
          happens()
        }
      }
      const enableAgain = (table: string) => {
        model.disable(table)
        model.commit(...editsOf(model, [3, 4]))
        model.enable(table)
      }
      for (const done of actions) {
        model.captures = done.kind === 'follow' || done.kind === 'begin-again'
        if (done.kind === 'commit') model.commit(...editsOf(model, done.edits))
        else if (done.kind === 'scan') model.scan(done.count)
        else if (done.kind === 'clean-up') model.cleanUp(done.kept)
        else if (done.kind === 'clean-up-in-mid-read') once(() => model.cleanUp(done.kept))
        else if (done.kind === 'enable-again') enableAgain(TABLES[done.table]!)
        else if (done.kind === 'enable-again-in-mid-read') once(() => enableAgain(TABLES[done.table]!))
        else if (done.kind === 'alter') model.alter(TABLES[done.table]!)
        else if (done.kind === 'begin-again') await follower.letGo()
        else if (done.kind === 'follow') await follower.follow(done.confirms)
      }
      gaps += follower.gaps.length
      verified += follower.verified
      await follower.letGo()
    }),
    { numRuns: Number(process.env.CDC_RUNS ?? 150) },
  )
  expect(verified).toBeGreaterThan(500)
  expect(gaps).toBeGreaterThan(5)
}, 60_000)
