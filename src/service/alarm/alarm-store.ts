/**
 * Alarms in the repository: what happened to each, one object after the other, none ever changed.
 *
 *     alarms/<alarm>/0           raised
 *     alarms/<alarm>/1, 2, …     told to people, acknowledged, over
 */
import { z } from 'zod'
import { Failure } from '../../errors.ts'
import { canonicalBytes, parseCanonical } from '../../repository/canonical-json.ts'
import { isDamage } from '../../repository/damage.ts'
import { ALARM_PREFIX, numbered } from '../../repository/layout.ts'
import type { Repository } from '../../repository/repository.ts'
import { OBJECT_TYPES } from '../../repository/sealed-object.ts'
import type { Alarm } from '../contract.ts'

const ENDED_KEPT = 300
const TRIMMED_AT_ONCE = 20

const raisedSchema = z.strictObject({
  type: z.literal('raised'),
  at: z.string(),
  key: z.string(),
  kind: z.string(),
  severity: z.enum(['critical', 'warning']),
  subject: z.string(),
  text: z.strictObject({ en: z.string(), zh: z.string() }),
})
const eventSchema = z.discriminatedUnion('type', [
  raisedSchema,
  z.strictObject({ type: z.literal('told'), at: z.string(), channels: z.array(z.string()) }),
  z.strictObject({ type: z.literal('acknowledged'), at: z.string(), by: z.string(), reason: z.string() }),
  z.strictObject({ type: z.literal('ended'), at: z.string() }),
])

export type AlarmEvent = z.infer<typeof eventSchema>

/** An alarm with what only the service needs of it. */
export interface KeptAlarm extends Alarm {
  readonly key: string
  /** Objects of it that were read. */
  readonly events: number
}

export interface KeptAlarms {
  /** Newest first. */
  readonly alarms: readonly KeptAlarm[]
  /** Ids of those of which an object is damaged. */
  readonly unreadable: readonly string[]
}

export class AlarmStore {
  readonly #repository: Repository
  /** As last read: of an alarm that has no more objects than then, nothing has changed. */
  #known: ReadonlyMap<string, KeptAlarm> = new Map()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /** Durable on return. @throws store-… */
  async raise(raised: Extract<AlarmEvent, { type: 'raised' }>): Promise<KeptAlarm> {
    const counts = await this.counts()
    for (let number = Math.max(-1, ...[...counts.keys()].map(Number)) + 1; ; number += 1) {
      if (await this.#put(String(number), 0, raised)) return applyAll(String(number), [raised])
    }
  }

  /** Durable on return. @throws not-found, store-… */
  async append(id: string, event: Exclude<AlarmEvent, { type: 'raised' }>): Promise<void> {
    const before = (await this.counts(id)).get(id) ?? 0
    if (before === 0) throw alarmNotFound(id)
    for (let number = before; ; number += 1) if (await this.#put(id, number, event)) return
  }

  /** Objects of each alarm, or of one, by its id. */
  async counts(id?: string): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    const prefix = id === undefined ? ALARM_PREFIX : prefixOf(id)
    for (const name of await this.#repository.sealed.names(prefix)) {
      const found = String(Number(name.slice(ALARM_PREFIX.length).split('/')[0]))
      counts.set(found, (counts.get(found) ?? 0) + 1)
    }
    return counts
  }

  /** Null when there is none. @throws store-…, repository-damaged */
  async read(id: string): Promise<KeptAlarm | null> {
    if (!/^\d{1,10}$/.test(id)) return null
    const events: AlarmEvent[] = []
    for (const name of await this.#repository.sealed.names(prefixOf(id))) {
      const value = parseCanonical(await this.#repository.sealed.read(name, OBJECT_TYPES.alarm), name)
      const parsed = eventSchema.safeParse(value)
      if (!parsed.success) throw damaged(name)
      events.push(parsed.data)
    }
    if (events.length === 0) return null
    return applyAll(String(Number(id)), events)
  }

  /** One that cannot be read stands in nobody's way: whoever waits for alarms must hear of the others. @throws store-… */
  async readAll(): Promise<KeptAlarms> {
    const counts = await this.counts()
    const alarms: KeptAlarm[] = []
    const unreadable: string[] = []
    for (const id of [...counts.keys()].sort((a, b) => Number(b) - Number(a))) {
      const known = this.#known.get(id)
      if (known && known.events === counts.get(id)) {
        alarms.push(known)
        continue
      }
      const alarm = await this.read(id).catch((error) => {
        if (isDamage(error)) return 'damaged' as const
        throw error
      })
      if (alarm === 'damaged') unreadable.push(id)
      else if (alarm) alarms.push(alarm)
    }
    this.#known = new Map(alarms.map((alarm) => [alarm.id, alarm]))
    return { alarms, unreadable }
  }

  /** Removes ended ones beyond the newest. The audit keeps that they were. Best effort. */
  async trim(alarms: readonly KeptAlarm[]): Promise<void> {
    const old = alarms.filter(({ endedAt }) => endedAt !== null).slice(ENDED_KEPT)
    for (const { id } of old.slice(-TRIMMED_AT_ONCE)) {
      const names = await this.#repository.sealed.names(prefixOf(id))
      for (const name of names.reverse()) await this.#repository.store.delete(name)
    }
  }

  async #put(id: string, number: number, event: AlarmEvent): Promise<boolean> {
    try {
      const name = numbered(prefixOf(id), number)
      await this.#repository.sealed.write(name, OBJECT_TYPES.alarm, canonicalBytes(event))
      return true
    } catch (error) {
      if (error instanceof Failure && error.code === 'object-exists') return false
      throw error
    }
  }
}

export function alarmNotFound(id: string): Failure {
  return new Failure('not-found', `there is no alarm ${id}`, { hints: ['Run `chartkeep alarms list` to see them.'] })
}

function prefixOf(id: string): string {
  return `${numbered(ALARM_PREFIX, Number(id))}/`
}

function applyAll(id: string, [raised, ...later]: readonly AlarmEvent[]): KeptAlarm {
  if (raised?.type !== 'raised') throw damaged(`${prefixOf(id)}…`)
  const { key, kind, severity, subject, text, at } = raised
  const fresh: KeptAlarm = {
    id,
    key,
    kind: kind as Alarm['kind'],
    severity,
    subject,
    text,
    raisedAt: at,
    acknowledged: null,
    endedAt: null,
    lastNotifiedAt: null,
    events: 1,
  }
  return later.reduce(applyEvent, fresh)
}

export function applyEvent(alarm: KeptAlarm, event: AlarmEvent): KeptAlarm {
  const next = { ...alarm, events: alarm.events + 1 }
  switch (event.type) {
    case 'told':
      return { ...next, lastNotifiedAt: event.at }
    case 'acknowledged':
      return { ...next, acknowledged: { by: event.by, at: event.at, reason: event.reason } }
    case 'ended':
      return { ...next, endedAt: event.at }
    case 'raised':
      return next
  }
}

function damaged(name: string): Failure {
  return new Failure('repository-damaged', `object ${name} is not of an alarm`, { context: { object: name } })
}
