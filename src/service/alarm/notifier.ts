/**
 * Tells people of alarms, over every way that is configured: once when one is raised, again and again until somebody
 * acknowledges it, and when it is over. What is to be told at one time goes in one message. A way that does not work is an
 * alarm itself, told over the others.
 */
import { toFailureRecord } from '../../errors.ts'
import { type Log, OVER, type ServiceWorld } from '../world.ts'
import type { KeptAlarm } from './alarm-store.ts'
import type { AlarmBook } from './book.ts'
import type { Condition } from './condition.ts'

/** Of one way; then it counts as not working. */
const SEND_TIMEOUT_MS = 30_000

export interface Message {
  readonly host: string
  readonly at: string
  /** Raised, or still open and not acknowledged. */
  readonly open: readonly KeptAlarm[]
  readonly over: readonly KeptAlarm[]
}

export interface Channel {
  /** For people: the kind of way and its host, no secret. */
  readonly name: string
  /** @throws when nobody took it */
  readonly send: (message: Message, signal: AbortSignal) => Promise<void>
}

interface Told {
  readonly atMs: number
  readonly isOver: boolean
}

export class Notifier {
  readonly #channels: readonly Channel[]
  readonly #repeatMs: number
  readonly #world: ServiceWorld
  readonly #log: Log
  /** By channel, then by alarm. */
  readonly #told = new Map<string, Map<string, Told>>()
  readonly #broken = new Map<string, string>()

  constructor(parts: {
    readonly channels: readonly Channel[]
    readonly repeatMs: number
    readonly world: ServiceWorld
    readonly log: Log
  }) {
    this.#channels = parts.channels
    this.#repeatMs = parts.repeatMs
    this.#world = parts.world
    this.#log = parts.log
    for (const { name } of parts.channels) this.#told.set(name, new Map())
  }

  /** Ways over which the last message did not get out. */
  get conditions(): Condition[] {
    return [...this.#broken].map(([channel, why]) => ({
      key: `channel:${channel}`,
      kind: 'not-watched',
      severity: 'critical',
      subject: channel,
      text: {
        en: `alarms cannot be delivered by ${channel}: ${why}`,
        zh: `告警无法通过 ${channel} 送出：${why}`,
      },
    }))
  }

  async tell(book: AlarmBook): Promise<void> {
    const nowMs = this.#world.nowMs()
    const reached = new Map<string, string[]>()
    await Promise.all(
      this.#channels.map(async (channel) => {
        for (const key of await this.#tellOver(channel, book.alarms, nowMs)) {
          reached.set(key, [...(reached.get(key) ?? []), channel.name])
        }
      }),
    )
    for (const [key, channels] of reached) book.told([key], channels)
    for (const alarm of book.alarms) {
      const isKnown = this.#channels.every(({ name }) => !this.#isDue(name, alarm, nowMs))
      if (alarm.endedAt === null || !isKnown) continue
      if (book.forget(alarm.key)) for (const told of this.#told.values()) told.delete(idOf(alarm))
    }
  }

  /** @returns keys of what was told */
  async #tellOver(channel: Channel, alarms: readonly KeptAlarm[], nowMs: number): Promise<string[]> {
    const due = alarms.filter((alarm) => this.#isDue(channel.name, alarm, nowMs))
    if (due.length === 0) return []
    const open = due.filter(({ endedAt }) => endedAt === null)
    const over = due.filter(({ endedAt }) => endedAt !== null)
    const message = { host: this.#world.host, at: new Date(nowMs).toISOString(), open, over }
    try {
      await this.#send(channel, message)
    } catch (error) {
      // Of a library's error, only its code is ours to show: its text may quote what was sent (F42).
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      const record = toFailureRecord(error)
      const why = record.code === 'defect' ? code || 'it did not answer' : record.message
      this.#broken.set(channel.name, why)
      this.#log({ level: 'error', event: 'alarm.not-told', channel: channel.name, message: why })
      return []
    }
    this.#broken.delete(channel.name)
    const told = this.#told.get(channel.name)!
    for (const alarm of due) told.set(idOf(alarm), { atMs: nowMs, isOver: alarm.endedAt !== null })
    return open.map(({ key }) => key)
  }

  async #send(channel: Channel, message: Message): Promise<void> {
    const over = new AbortController()
    const late = this.#world.sleep(SEND_TIMEOUT_MS, over.signal).then(
      () => Promise.reject(Object.assign(new Error('late'), { code: 'ETIMEDOUT' })),
      () => {},
    )
    try {
      const sending = channel.send(message, over.signal)
      await Promise.race([sending, late.then(() => sending)])
    } finally {
      over.abort(OVER)
    }
  }

  #isDue(channel: string, alarm: KeptAlarm, nowMs: number): boolean {
    const told = this.#told.get(channel)?.get(idOf(alarm))
    if (alarm.endedAt !== null) return told === undefined ? alarm.lastNotifiedAt !== null : !told.isOver
    if (alarm.acknowledged !== null) return false
    const lastMs = told?.atMs ?? (alarm.lastNotifiedAt === null ? null : Date.parse(alarm.lastNotifiedAt))
    // Also when the clock was set back by more than that.
    return lastMs === null || Math.abs(nowMs - lastMs) >= this.#repeatMs
  }
}

/** Of one raising: the same trouble that comes again is told again. */
function idOf({ key, raisedAt }: KeptAlarm): string {
  return `${key} ${raisedAt}`
}
