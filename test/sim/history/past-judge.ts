/**
 * What is told of the past, held against the oracle: played event by event, every row before must be there, and what comes
 * out must be what the oracle has. A record's and a patient's past must be what the tables' past says of them.
 */
import { changeIdOf, type HistoryEvent } from '../../../src/repository/history/event.ts'
import { readPast } from '../../../src/repository/history/past.ts'
import { wholeTable } from '../../../src/repository/history/question.ts'
import { readPatient, readRecord } from '../../../src/repository/history/read-all.ts'
import type { Manifest, TableManifest } from '../../../src/repository/manifest.ts'
import { replayed } from '../../repository/history/replay.ts'
import { never } from '../../support/repository.ts'
import type { FollowOptions } from './chartkeep.ts'
import type { Dice } from './dice.ts'
import type { HistoryModel } from './model.ts'
import { PATIENTS } from './world.ts'

export interface PastOptions extends FollowOptions {
  readonly model: HistoryModel
  readonly dice: Dice
  /** In the order in which they were taken. */
  readonly manifests: readonly Manifest[]
}

export interface PastJudgement {
  readonly findings: readonly string[]
  readonly events: number
}

const TABLES_LOOKED_AT = 5

export async function judgePast(options: PastOptions): Promise<PastJudgement> {
  const judge = new PastJudge(options)
  const names = options.manifests[0]!.tables.map(({ name }) => name)
  for (let look = 0; look < TABLES_LOOKED_AT; look += 1) await judge.table(options.dice.pick(names))
  await judge.patient()
  return { findings: judge.findings, events: judge.events }
}

class PastJudge {
  readonly findings: string[] = []
  events = 0
  readonly #options: PastOptions
  readonly #known = new Map<string, Promise<readonly HistoryEvent[]>>()

  constructor(options: PastOptions) {
    this.#options = options
  }

  async table(name: string): Promise<void> {
    const { manifests, model, dice } = this.#options
    const events = await this.#eventsOf(name)
    const found = manifests.map((manifest) => manifest.tables.find((table) => table.name === name))
    const first = found[0]!
    // Rows that got a column that is not NULL have no event: nothing is said of when they did.
    if (!found.every((table) => table && shapeOf(table) === shapeOf(first))) return
    const columns = first.columns.map((column) => column.name)
    const base = model.rowsVisible(manifests[0]!.position.visible).get(first.oid) ?? []
    const { problems } = replayed(base, first, events, columns)
    if (problems.length > 0) this.#found(name, `${problems.length} events do not fit, first: ${problems[0]}`)

    const isToldWhole = found.every((table) => table?.resolution === 'transaction') && events.every(isExact)
    const ends = isToldWhole && events.length > 0 ? [dice.pick(events), events.at(-1)!] : []
    for (const end of ends) {
      const { stamp } = end.time as HistoryEvent['time'] & { kind: 'transaction' }
      const until = events.filter(({ time }) => time.kind === 'transaction' && time.stamp.endLsn <= stamp.endLsn)
      const told = replayed(base, first, until, columns).lines
      const wanted = model.rowsAt(stamp.endLsn).get(first.oid) ?? []
      // What the first snapshot has though it was committed later does not come: all of it is before the first event.
      if (told.join('\n') !== wanted.join('\n'))
        this.#found(name, `its events until ${changeIdOf(end.time)} lead elsewhere`)
    }
    await this.#record(first, events)
  }

  /** Everything that has the key is told, and more where the key was changed. */
  async #record(table: TableManifest, events: readonly HistoryEvent[]): Promise<void> {
    const keyed = events.filter(({ key }) => key.length > 0)
    if (keyed.length === 0) return
    const { key } = this.#options.dice.pick(keyed)
    const { events: told } = await readRecord(this.#asked(), table.name, key)
    const shown = new Set(told.map(nameOf))
    const missing = keyed.filter((event) => `${event.key}` === `${key}` && !shown.has(nameOf(event)))
    if (missing.length > 0) this.#found(table.name, `a record's past lacks ${missing.length} of its events`)
  }

  /** Stays that were the patient's at some moment, by what the table of stays says; and what happened to their rows. */
  async patient(): Promise<void> {
    const { manifests, model, dice } = this.#options
    const patient = String(dice.between(1, PATIENTS))
    const { events } = await readPatient(this.#asked(), Buffer.from(patient))
    const stayTable = manifests[0]!.tables.find(({ name }) => name === 'public.stay')!
    const columns = stayTable.columns.map(({ name }) => name)
    const [id, of] = [columns.indexOf('stay_id'), columns.indexOf('patient_id')]
    const base = (model.rowsVisible(manifests[0]!.position.visible).get(stayTable.oid) ?? []).map((line) =>
      line.split('\t'),
    )
    const later = (await this.#eventsOf('public.stay')).flatMap(({ before, after }) =>
      [before, after].flatMap((image) => (image ? [image.line.toString('utf8').split('\t')] : [])),
    )
    const theirs = new Set([...base, ...later].flatMap((fields) => (fields[of] === patient ? [fields[id]!] : [])))
    for (const name of ['public.vital', 'public.dx']) {
      const expected = (await this.#eventsOf(name)).filter((event) => {
        const stays = [event.before, event.after].map(
          (image) => image?.line.toString('utf8').split('\t')[image.columns.indexOf('stay_id')],
        )
        return event.kind !== 'truncate' && stays.some((stay) => stay !== undefined && theirs.has(stay))
      })
      const told = events.filter(({ table, kind }) => table === name && kind !== 'truncate')
      // Between two places nobody knows the order.
      const isSame = told.map(nameOf).sort().join() === expected.map(nameOf).sort().join()
      if (isSame) continue
      const counts = `a patient's past has ${told.length} events, and the table's ${expected.length} of theirs`
      this.#found(name, `${counts}; only there: ${lacking(told, expected)}; only here: ${lacking(expected, told)}`)
    }
  }

  #eventsOf(name: string): Promise<readonly HistoryEvent[]> {
    let known = this.#known.get(name)
    if (!known) {
      known = this.#read(name)
      this.#known.set(name, known)
    }
    return known
  }

  async #read(name: string): Promise<readonly HistoryEvent[]> {
    const events: HistoryEvent[] = []
    for await (const item of readPast({ ...this.#asked(), question: wholeTable(name) })) {
      if (item.kind === 'event') events.push(item.event)
    }
    this.events += events.length
    return events
  }

  #asked() {
    const { made, sourceName } = this.#options
    return { repository: made.repository, sourceName, interval: { since: null, until: null }, signal: never() }
  }

  #found(table: string, what: string): void {
    this.findings.push(`the past of ${table}: ${what}`)
  }
}

function isExact({ time }: HistoryEvent): boolean {
  return time.kind === 'transaction'
}

const SHOWN_MAX = 4

/** Of `these`, what `those` have not, by change and kind: enough to find it by. */
function lacking(these: readonly HistoryEvent[], those: readonly HistoryEvent[]): string {
  const known = new Set(those.map(nameOf))
  const lacked = these.filter((event) => !known.has(nameOf(event)))
  return lacked
    .slice(0, SHOWN_MAX)
    .map(({ kind, time }) => `${kind} ${changeIdOf(time)}`)
    .join(', ')
}

function nameOf(event: HistoryEvent): string {
  const lines = [event.before, event.after].map((image) => image?.line.toString('latin1') ?? '')
  return `${changeIdOf(event.time)} ${event.kind} ${lines.join(' → ')}`
}

function shapeOf({ oid, columns, primaryKey }: TableManifest): string {
  return JSON.stringify([oid, columns.map(({ name, type }) => [name, type]), primaryKey])
}
