/**
 * The alarms that are open, and how they come and go: a condition that is seen raises one, one that is no longer seen ends
 * it, and until somebody acknowledges it people are told again and again.
 *
 * In memory first: when the store is down, that is the very thing to tell people of. What could not be written is written
 * when the store is back. Only the leader writes.
 */
import type { AuditLog } from '../../repository/audit.ts'
import type { Log, ServiceWorld } from '../world.ts'
import { type AlarmEvent, type AlarmStore, applyEvent, type KeptAlarm } from './alarm-store.ts'
import type { Condition } from './condition.ts'

/** Behind the key of an alarm that somebody may have acknowledged as a warning, and that is worse now. */
const WORSE = '/worse'
/** Not seen for so long, it is over: what comes and goes every minute is one alarm. */
const SETTLE_MS = 5 * 60_000

export interface BookParts {
  readonly store: AlarmStore
  readonly audit: AuditLog
  readonly world: ServiceWorld
  readonly log: Log
}

interface Entry {
  alarm: KeptAlarm
  /** Which watch sees it. */
  readonly watch: string
  isStored: boolean
  /** What has happened to it and could not be written yet. */
  readonly unwritten: Exclude<AlarmEvent, { type: 'raised' }>[]
  absentSinceMs: number | null
}

export class AlarmBook {
  readonly #parts: BookParts
  readonly #entries = new Map<string, Entry>()
  #unsaved = 0

  constructor(parts: BookParts) {
    this.#parts = parts
  }

  /** Open ones and those just over, newest first. */
  get alarms(): KeptAlarm[] {
    return [...this.#entries.values()].map(({ alarm }) => alarm).toReversed()
  }

  /** Those that no object holds yet. */
  get unsaved(): KeptAlarm[] {
    return [...this.#entries.values()].filter(({ isStored }) => !isStored).map(({ alarm }) => alarm)
  }

  get open(): KeptAlarm[] {
    return this.alarms.filter(({ endedAt }) => endedAt === null)
  }

  /** What a watch sees now. What it does not see any more ends in a while. */
  see(watch: string, conditions: readonly Condition[]): void {
    const nowMs = this.#parts.world.nowMs()
    const seen = new Map(conditions.map((condition) => [this.#keyOf(watch, condition), condition]))
    for (const [key, condition] of seen) {
      const entry = this.#open(key)
      if (entry) {
        entry.absentSinceMs = null
        entry.alarm = { ...entry.alarm, text: condition.text }
      } else this.#raise(watch, key, condition, nowMs)
    }
    for (const [key, entry] of this.#entries) {
      if (entry.watch !== watch || seen.has(key) || entry.alarm.endedAt !== null) continue
      entry.absentSinceMs ??= nowMs
      // A clock that was set back has not stood still.
      if (nowMs < entry.absentSinceMs) entry.absentSinceMs = nowMs
      if (nowMs - entry.absentSinceMs >= SETTLE_MS) this.#happened(key, { type: 'ended', at: iso(nowMs) })
    }
  }

  /** People were told, over these ways. */
  told(keys: readonly string[], channels: readonly string[]): void {
    const at = iso(this.#parts.world.nowMs())
    for (const key of keys) this.#happened(key, { type: 'told', at, channels: [...channels] })
  }

  /** Of an alarm whose end people were told of, nothing is kept here. False while there is something to be written. */
  forget(key: string): boolean {
    const entry = this.#entries.get(key)
    return entry?.isStored === true && entry.unwritten.length === 0 && this.#entries.delete(key)
  }

  /** Writes what is new, and reads what others have done to the alarms. @throws store-… */
  async sync(): Promise<void> {
    const counts = await this.#parts.store.counts()
    for (const entry of [...this.#entries.values()]) await this.#write(entry)
    for (const entry of this.#entries.values()) {
      const { id, events } = entry.alarm
      if (!entry.isStored || (counts.get(id) ?? 0) <= events) continue
      const read = await this.#parts.store.read(id)
      if (read) entry.alarm = { ...read, text: entry.alarm.text, severity: entry.alarm.severity }
    }
  }

  /** What others left open, when we begin to lead. @returns ids of alarms that cannot be read. @throws store-… */
  async load(): Promise<readonly string[]> {
    const { alarms: all, unreadable } = await this.#parts.store.readAll()
    for (const alarm of all.filter(({ endedAt }) => endedAt === null).reverse()) {
      const known = this.#entries.get(alarm.key)
      if (known?.isStored) continue
      const watch = alarm.key.slice(0, alarm.key.indexOf('/'))
      this.#entries.set(alarm.key, { alarm, watch, isStored: true, unwritten: [], absentSinceMs: null })
    }
    await this.#parts.store.trim(all)
    return unreadable
  }

  /** When somebody else leads: what these watches do not see is his. */
  keepOnly(watches: ReadonlySet<string>): void {
    for (const [key, { watch }] of this.#entries) if (!watches.has(watch)) this.#entries.delete(key)
  }

  /** What was a warning and is critical now is another alarm: whoever took the first upon himself hears of it. */
  #keyOf(watch: string, { key, severity }: Condition): string {
    const usual = `${watch}/${key}`
    if (this.#open(usual + WORSE)) return usual + WORSE
    const isWorse = severity === 'critical' && this.#open(usual)?.alarm.severity === 'warning'
    return isWorse ? usual + WORSE : usual
  }

  #open(key: string): Entry | null {
    const entry = this.#entries.get(key)
    return entry && entry.alarm.endedAt === null ? entry : null
  }

  #raise(watch: string, key: string, { kind, severity, subject, text }: Condition, nowMs: number): void {
    this.#unsaved += 1
    const alarm: KeptAlarm = {
      id: `unsaved-${this.#unsaved}`,
      key,
      kind,
      severity,
      subject,
      text,
      raisedAt: iso(nowMs),
      acknowledged: null,
      endedAt: null,
      lastNotifiedAt: null,
      events: 0,
    }
    this.#entries.delete(key)
    this.#entries.set(key, { alarm, watch, isStored: false, unwritten: [], absentSinceMs: null })
    this.#parts.log({ level: 'error', event: 'alarm.raised', kind, severity, subject, text: text.en })
  }

  #happened(key: string, event: Exclude<AlarmEvent, { type: 'raised' }>): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    const { events } = entry.alarm
    entry.alarm = { ...applyEvent(entry.alarm, event), events }
    entry.unwritten.push(event)
    if (event.type === 'ended') {
      const { kind, subject } = entry.alarm
      this.#parts.log({ level: 'info', event: 'alarm.ended', kind, subject })
    }
  }

  async #write(entry: Entry): Promise<void> {
    const { store } = this.#parts
    if (!entry.isStored) await this.#store(entry)
    for (let event = entry.unwritten[0]; event; event = entry.unwritten[0]) {
      await store.append(entry.alarm.id, event)
      entry.unwritten.shift()
      entry.alarm = { ...entry.alarm, events: entry.alarm.events + 1 }
    }
  }

  async #store(entry: Entry): Promise<void> {
    const { store, audit, world } = this.#parts
    const { key, kind, severity, subject, text, raisedAt } = entry.alarm
    const kept = await store.raise({ type: 'raised', at: raisedAt, key, kind, severity, subject, text })
    entry.alarm = { ...entry.alarm, id: kept.id, events: 1 }
    entry.isStored = true
    const deed = { actor: world.host, action: 'alarm.raised', subject, detail: `${kept.id} ${kind}` }
    await audit.append({ ...deed, time: iso(world.nowMs()), outcome: 'done' })
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
