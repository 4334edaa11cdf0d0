/**
 * A hospital in memory: a ward whose rows change from hour to hour, hourly snapshots, and forget and prune as somebody
 * would run them. What it ought to have kept it works out for itself, by counting on its fingers and not by the code.
 */
import { createHash } from 'node:crypto'
import { type ForgetPlan, forget } from '../../../src/backup/retention/forget.ts'
import type { RetentionWorld } from '../../../src/backup/retention/hold.ts'
import type { KeepRules } from '../../../src/backup/retention/keep-rules.ts'
import { prune } from '../../../src/backup/retention/prune.ts'
import type { PrunePlan } from '../../../src/backup/retention/prune-plan.ts'
import { takeSnapshot } from '../../../src/backup/snapshot.ts'
import type { Repository } from '../../../src/repository/repository.ts'
import type { Store } from '../../../src/repository/store/contract.ts'
import type { ConsistentRead } from '../../../src/source/contract.ts'
import { FakeSource, type FakeTables, InProcessPool } from '../../support/fake-source.ts'
import { MemoryStore } from '../../support/memory-store.ts'
import { readSnapshot } from '../../support/read-back.ts'
import { makeSimRepository, type SimRepository } from '../../support/sim-repository.ts'

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
export const GRACE_MS = DAY_MS
/** The first hour of 2026 in Shanghai. */
export const START_MS = Date.UTC(2025, 11, 31, 16)

/** Rows that change together. */
const RUN = 5
const NO_RULES = { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 }

export function rulesOf(parts: Partial<KeepRules['calendar']> & Partial<Omit<KeepRules, 'calendar'>>): KeepRules {
  const { last = 0, windowMs = 0, timeZone = 'Asia/Shanghai', ...calendar } = parts
  return { last, windowMs, timeZone, calendar: { ...NO_RULES, ...calendar } }
}

const layout = {
  patient: null,
  anchors: new Map<string, string>(),
  categories: new Map<string, string>(),
  links: [],
  exclude: new Set<string>(),
}

/** Some leaves of rows, in one of which a few are others each hour, and a table that is another one each hour. */
export function wardAt(hour: number, rows = 240): FakeTables {
  const text = (seed: string) => createHash('shake256', { outputLength: 150 }).update(seed).digest('hex')
  const runs = rows / RUN
  // The last hour up to this one in which it was the run's turn.
  const changed = (row: number) => hour - ((((hour - Math.floor(row / RUN)) % runs) + runs) % runs)
  const lines = Array.from({ length: rows }, (_, row) => `${1000 + row}\t${text(`${row} ${changed(row)}`)}`)
  const notes = Array.from(
    { length: Math.min(hour, 30) },
    (_, index) => `${hour - index}\tnote of hour ${hour - index}`,
  )
  return {
    'public.vital': { columns: ['id', 'value'], primaryKey: ['id'], lines },
    'public.note': { columns: ['id', 'text'], primaryKey: ['id'], lines: notes },
  }
}

/** A fake source with a clock. */
export class TimedSource extends FakeSource {
  readonly #timeMs: number

  constructor(tables: FakeTables, timeMs: number) {
    super(tables)
    this.#timeMs = timeMs
  }

  override async openRead(): Promise<ConsistentRead> {
    const read = await super.openRead()
    const sourceTime = `${new Date(this.#timeMs).toISOString().slice(0, 23)}000Z`
    return { ...read, position: { ...read.position, sourceTime } }
  }
}

/** Lists a folder of many thousand objects without sorting them anew each time. `objects` is not to be changed past it. */
class FolderStore extends MemoryStore {
  readonly #sorted = new Map<string, string[]>()

  override async put(key: string, bytes: Uint8Array): Promise<void> {
    await super.put(key, bytes)
    const names = this.#sorted.get(folderOf(key))
    if (names && key > (names.at(-1) ?? '')) names.push(key)
    else this.#sorted.delete(folderOf(key))
  }

  override async delete(key: string): Promise<void> {
    await super.delete(key)
    this.#sorted.delete(folderOf(key))
  }

  override async *list(prefix: string) {
    if (!prefix.includes('/')) return yield* super.list(prefix)
    const folder = folderOf(prefix)
    let names = this.#sorted.get(folder)
    if (!names) {
      names = [...this.objects.keys()].filter((key) => key.startsWith(`${folder}/`)).sort()
      this.#sorted.set(folder, names)
    }
    for (const key of [...names]) {
      const bytes = key.startsWith(prefix) ? this.objects.get(key) : undefined
      if (bytes) yield { key, bytes: bytes.length }
    }
  }
}

function folderOf(key: string): string {
  return key.slice(0, key.indexOf('/'))
}

export class RetentionSim {
  readonly sim: SimRepository
  readonly store: MemoryStore
  nowMs = START_MS
  /** While prune watched readers. */
  sleptMs = 0
  /** Of the database's clock. */
  databaseSkewMs = 0
  /** Hour of each snapshot ever taken, by id. */
  readonly hours = new Map<string, number>()

  private constructor(sim: SimRepository) {
    this.sim = sim
    this.store = sim.store as MemoryStore
  }

  /** The same, over another store. */
  static async of(sim: RetentionSim, store: MemoryStore): Promise<RetentionSim> {
    const other = new RetentionSim({ store, over: (through) => sim.sim.over(through) })
    other.nowMs = sim.nowMs
    for (const [id, hour] of sim.hours) other.hours.set(id, hour)
    return other
  }

  static async make(): Promise<RetentionSim> {
    return new RetentionSim(await makeSimRepository())
  }

  /** For thousands of snapshots. */
  static async makeLong(): Promise<RetentionSim> {
    return new RetentionSim(await makeSimRepository(new FolderStore()))
  }

  get repository(): Repository {
    return this.sim.over(this.store)
  }

  get hour(): number {
    return Math.round((this.nowMs - START_MS) / HOUR_MS)
  }

  /** Of the hour that it is; then so many pass. */
  async backUp({ store = this.store as Store, hours = 1, sourceName = 'icu' } = {}): Promise<string> {
    const tables = wardAt(this.hour)
    const { snapshot } = await takeSnapshot({
      sourceName,
      source: new TimedSource(tables, this.nowMs + this.databaseSkewMs),
      layout,
      repository: this.sim.over(store),
      pool: new InProcessPool(tables, store),
      signal: new AbortController().signal,
      nowMs: () => this.nowMs,
      sleep: async () => {},
      onProgress: () => {},
      holder: 'sim',
    })
    this.hours.set(snapshot, this.hour)
    this.nowMs += hours * HOUR_MS
    return snapshot
  }

  world(store: Store = this.store): RetentionWorld {
    return {
      repository: this.sim.over(store),
      actor: 'sim',
      nowMs: () => this.nowMs,
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      signal: new AbortController().signal,
    }
  }

  async forget(rules: KeepRules, store: Store = this.store): Promise<ForgetPlan> {
    return await forget({ ...this.world(store), sourceName: 'icu', rules })
  }

  pruneRequest(rules: KeepRules, store: Store = this.store) {
    const sleep = async (ms: number) => {
      this.sleptMs += ms
    }
    return { ...this.world(store), rules: new Map([['icu', rules]]), graceMs: GRACE_MS, sleep }
  }

  async prune(rules: KeepRules, store: Store = this.store): Promise<PrunePlan> {
    return await prune(this.pruneRequest(rules, store))
  }

  bytes(prefix = ''): number {
    let sum = 0
    for (const [key, bytes] of this.store.objects) if (key.startsWith(prefix)) sum += bytes.length
    return sum
  }

  /** @throws when a snapshot does not read back as what the ward was in its hour; @returns how many there are */
  async assertAllRead(): Promise<number> {
    const ids = await this.repository.snapshotIds()
    for (const id of ids) await this.assertReads(id)
    return ids.length
  }

  async assertReads(id: string): Promise<void> {
    const found = await readSnapshot(this.repository, id)
    const expected = wardAt(this.hours.get(id)!)
    for (const [name, { lines }] of Object.entries(expected)) {
      if (JSON.stringify(found[name]) !== JSON.stringify([...lines].sort()))
        throw new Error(`${id}: ${name} is not as it was`)
    }
  }
}

/** What the rules keep of snapshots taken at these hours, oldest first. Shanghai has had no other hour than +8 since 1991. */
export function modelKept(hours: readonly number[], rules: KeepRules): Set<number> {
  const kept = new Set<number>(hours.slice(-1))
  for (const hour of hours.slice(hours.length - rules.last)) if (rules.last > 0) kept.add(hour)
  const local = (hour: number) => new Date(START_MS + hour * HOUR_MS + 8 * HOUR_MS)
  const monday = (hour: number) => {
    const day = Math.floor((START_MS + hour * HOUR_MS + 8 * HOUR_MS) / DAY_MS)
    // The first of January 1970 was a Thursday.
    return Math.floor((day + 3) / 7)
  }
  const periods: Readonly<Record<keyof KeepRules['calendar'], (hour: number) => string | number>> = {
    hourly: (hour) => local(hour).toISOString().slice(0, 13),
    daily: (hour) => local(hour).toISOString().slice(0, 10),
    weekly: monday,
    monthly: (hour) => local(hour).toISOString().slice(0, 7),
    yearly: (hour) => local(hour).getUTCFullYear(),
  }
  for (const [rule, period] of Object.entries(periods)) {
    const lastOf = new Map<string | number, number>()
    for (const hour of hours) lastOf.set(period(hour), hour)
    const count = rules.calendar[rule as keyof KeepRules['calendar']]
    for (const hour of [...lastOf.values()].slice(Math.max(0, lastOf.size - count))) kept.add(hour)
  }
  if (rules.windowMs > 0 && hours.length > 0) {
    const begin = hours.at(-1)! - rules.windowMs / HOUR_MS
    for (const hour of hours) if (hour > begin) kept.add(hour)
    const before = hours.filter((hour) => hour <= begin).at(-1)
    if (before !== undefined) kept.add(before)
  }
  return kept
}
