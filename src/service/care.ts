/**
 * Looks after everything, in every service, leading or not: asks whether the store answers, lets every watch look, keeps the
 * book of alarms, tells people, and gives a sign of life to whoever waits for one outside.
 *
 * A watch that hangs is left behind and is an alarm (F31). Watches of the leader are asked while it leads only.
 */
import { Failure, type FailureRecord, fromFailureRecord, toFailureRecord } from '../errors.ts'
import type { Store } from '../repository/store/contract.ts'
import type { AlarmBook } from './alarm/book.ts'
import type { Condition, Watch } from './alarm/condition.ts'
import type { Notifier } from './alarm/notifier.ts'
import { ClockWatch, watchStore } from './watch/machine.ts'
import { type Log, OVER, type ServiceWorld } from './world.ts'

const LOOK_TIMEOUT_MS = 2 * 60_000
const PING_TIMEOUT_MS = 30_000

export interface CareParts {
  readonly store: Store
  readonly book: AlarmBook
  readonly notifier: Notifier
  /** Asked in every role. */
  readonly localWatches: readonly Watch[]
  /** Asked while this service leads, and so often. */
  readonly leaderWatches: readonly Watch[]
  readonly watchEveryMs: number
  readonly turnMs: number
  readonly isLeader: () => boolean
  /** @throws when nobody took it */
  readonly heartbeat: { readonly everyMs: number; readonly beat: (signal: AbortSignal) => Promise<void> } | null
  readonly world: ServiceWorld
  readonly log: Log
}

export class Care {
  readonly #parts: CareParts
  readonly #clock: ClockWatch
  readonly #storeWatch: Watch
  readonly #hanging = new Set<string>()
  #down: { readonly sinceMs: number; readonly failure: FailureRecord } | null = null
  #wasLeader = false
  /** Of the book, as it was found when we began to lead. */
  #notRead: readonly Condition[] = []
  #pause = new AbortController()
  #sinceWatchedMs = Number.POSITIVE_INFINITY
  #sinceBeatMs = Number.POSITIVE_INFINITY
  lastTurnMs: number

  constructor(parts: CareParts) {
    this.#parts = parts
    const { nowMs } = parts.world
    this.#clock = new ClockWatch(nowMs)
    this.#storeWatch = watchStore({ url: parts.store.url, down: () => this.#down, nowMs })
    this.lastTurnMs = nowMs()
  }

  get isStoreUp(): boolean {
    return this.#down === null
  }

  /** Looks at once, and not when its pause is over: for whoever has just begun to lead. */
  wake(): void {
    this.#pause.abort(OVER)
  }

  /** Until the signal fires. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, log, turnMs } = this.#parts
    while (!signal.aborted) {
      const beganMs = world.nowMs()
      this.lastTurnMs = beganMs
      try {
        await this.#turn(signal)
      } catch (error) {
        const { code, message } = toFailureRecord(error)
        log({ level: 'error', event: 'service.care-failed', code, message })
      }
      await world.sleep(turnMs, AbortSignal.any([signal, this.#pause.signal])).catch(() => {})
      this.#pause = new AbortController()
      const tookMs = world.nowMs() - beganMs
      // What a turn takes is bounded by its time-outs: more is a jump.
      this.#clock.slept(tookMs >= 0 && tookMs < 2 * LOOK_TIMEOUT_MS + turnMs ? tookMs : turnMs)
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { book, notifier, localWatches, leaderWatches, watchEveryMs, isLeader } = this.#parts
    await this.#ping(signal)
    const leads = isLeader()
    if (!leads) this.#sinceWatchedMs = Number.POSITIVE_INFINITY
    if (leads && !this.#wasLeader) await this.#takeOver()
    if (!leads && this.#wasLeader) this.#handOver()
    for (const watch of [this.#clock, this.#storeWatch, ...localWatches]) await this.#look(watch, signal)
    this.#sinceWatchedMs += this.#parts.turnMs
    // Also before the book could be read: what is told twice is better than what nobody hears.
    if (leads && this.#sinceWatchedMs >= watchEveryMs) {
      this.#sinceWatchedMs = 0
      await Promise.all(leaderWatches.map((watch) => this.#look(watch, signal)))
    }
    book.see('channels', notifier.conditions)
    if (leads) book.see('alarms', this.#notRead)
    // Before people hear of it: the id that they are told is the one to acknowledge.
    if (book.unsaved.length > 0) await this.#write()
    await notifier.tell(book)
    await this.#write()
    await this.#beat(signal)
  }

  async #write(): Promise<void> {
    const { book, isLeader, log } = this.#parts
    if (!isLeader() || !this.#wasLeader || this.#down !== null) return
    await book.sync().catch((error) => {
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'alarm.not-written', code, message })
    })
  }

  async #takeOver(): Promise<void> {
    const { book, log } = this.#parts
    try {
      this.#notRead = (await book.load()).map(cannotRead)
      this.#wasLeader = true
    } catch (error) {
      // Tried again at the next turn; until then nobody is kept from hearing of anything.
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'alarm.not-read', code, message })
      this.#notRead = [couldNotLook('alarms', { code, message })]
    }
  }

  /** What only the leader sees is for the next one to see. */
  #handOver(): void {
    this.#wasLeader = false
    const local = [this.#clock, this.#storeWatch, ...this.#parts.localWatches].map(({ name }) => name)
    this.#parts.book.keepOnly(new Set([...local, 'channels']))
  }

  async #ping(signal: AbortSignal): Promise<void> {
    const { store, world } = this.#parts
    try {
      await this.#within(PING_TIMEOUT_MS, 'the store', signal, async () => await store.stat('config'))
      this.#down = null
    } catch (error) {
      if (signal.aborted) return
      this.#down = { sinceMs: this.#down?.sinceMs ?? world.nowMs(), failure: toFailureRecord(error) }
    }
  }

  async #look(watch: Watch, signal: AbortSignal): Promise<void> {
    const { book, log } = this.#parts
    if (this.#hanging.has(watch.name)) return
    try {
      const look = async (): Promise<readonly Condition[]> => await watch.look(signal)
      this.#hanging.add(watch.name)
      const looking = look().finally(() => this.#hanging.delete(watch.name))
      book.see(watch.name, await this.#within(LOOK_TIMEOUT_MS, watch.name, signal, () => looking))
      book.see(`look-${watch.name}`, [])
    } catch (error) {
      if (signal.aborted) return
      const { code, message } = toFailureRecord(error)
      log({ level: 'warn', event: 'service.not-watched', watch: watch.name, code, message })
      book.see(`look-${watch.name}`, [couldNotLook(watch.name, { code, message })])
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    const { heartbeat, log } = this.#parts
    if (heartbeat === null) return
    this.#sinceBeatMs += this.#parts.turnMs
    if (this.#sinceBeatMs < heartbeat.everyMs) return
    try {
      await this.#within(PING_TIMEOUT_MS, 'the receiver of signs of life', signal, heartbeat.beat)
      this.#sinceBeatMs = 0
    } catch (error) {
      log({ level: 'warn', event: 'service.no-heartbeat', code: toFailureRecord(error).code })
    }
  }

  async #within<Result>(
    limitMs: number,
    what: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const over = new AbortController()
    const working = work(AbortSignal.any([signal, over.signal]))
    // Left behind, it may still fail.
    working.catch(() => {})
    const late = this.#parts.world.sleep(limitMs, AbortSignal.any([signal, over.signal])).then(() => {
      throw new Failure('job-stalled', `${what} did not answer within ${limitMs / 1000} s`)
    })
    late.catch(() => {})
    try {
      return await Promise.race([working, late])
    } catch (error) {
      throw error instanceof Failure ? error : fromFailureRecord(toFailureRecord(error))
    } finally {
      over.abort(OVER)
    }
  }
}

function cannotRead(id: string): Condition {
  return {
    key: `damaged:${id}`,
    kind: 'finding',
    severity: 'critical',
    subject: `alarm ${id}`,
    text: {
      en: `the record of alarm ${id} is damaged in the store: what it was about is not known`,
      zh: `存储中告警 ${id} 的记录已损坏：其内容未知`,
    },
  }
}

function couldNotLook(watch: string, { code, message }: { code: string; message: string }): Condition {
  return {
    key: 'failed',
    kind: 'not-watched',
    severity: 'critical',
    subject: watch,
    text: {
      en: `could not look at ${watch}: ${code}: ${message}`,
      zh: `无法查看 ${watch}：${code}：${message}`,
    },
  }
}
