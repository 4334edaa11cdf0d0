/**
 * Plays a history: several connections with transactions open at once, one statement after the other, so that the seed
 * decides what happens; only commits come in bursts, as many at the same time as there are. A statement that would wait
 * for another connection's lock fails soon, and its transaction goes the way of failed ones.
 */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { drawAction } from './actions.ts'
import type { Dice } from './dice.ts'

export interface PlayerOptions {
  readonly url: string
  readonly dice: Dice
  /** Default 4. One of them hardly ever commits. */
  readonly connections?: number
  /** Further actions beside rows: statements of DDL. */
  readonly drawDdl?: (dice: Dice) => readonly string[]
}

interface Seat {
  readonly client: pg.Client
  readonly isSlow: boolean
  isOpen: boolean
  savepoints: number
}

const LOCK_TIMEOUT_MS = 40
const SAVEPOINTS_MAX = 4
const PREPARED_MAX = 3
/** How long something else takes is the machine's affair: behind so many turns they are played with pauses. */
const DURING_TURNS = 350
const PAUSE_MS = 10

export class Player implements AsyncDisposable {
  readonly #dice: Dice
  readonly #drawDdl: PlayerOptions['drawDdl']
  readonly #seats: readonly Seat[]
  readonly #prepared: string[] = []
  #preparedEver = 0
  statements = 0
  failed = 0
  /** While somebody reads everything: nobody takes a lock that would make him give up (P11). */
  isGentle = false

  private constructor(options: PlayerOptions, seats: readonly Seat[]) {
    this.#dice = options.dice
    this.#drawDdl = options.drawDdl
    this.#seats = seats
  }

  static async start(options: PlayerOptions): Promise<Player> {
    const seats: Seat[] = []
    for (let number = 0; number < (options.connections ?? 4); number += 1) {
      const client = new pg.Client({ connectionString: options.url, application_name: 'history' })
      client.on('error', () => {})
      await client.connect()
      await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`)
      // What the application sets for itself must not show in what is captured.
      if (number === 1) await client.query("SET datestyle = 'SQL, DMY'; SET timezone = 'Asia/Shanghai'")
      seats.push({ client, isSlow: number === 0, isOpen: false, savepoints: 0 })
    }
    return new Player(options, seats)
  }

  /** So many turns, or until `isOver`. */
  async play(turns: number, isOver: () => boolean = () => false): Promise<void> {
    for (let turn = 0; turn < turns && !isOver(); turn += 1) await this.#turn()
  }

  /** As long as something else is under way, and so many turns at least. */
  async playDuring<T>(work: Promise<T>, turnsMin = 0): Promise<T> {
    let isOver = false
    const done = work.finally(() => {
      isOver = true
    })
    // Looked at below, when the last turn has ended.
    done.catch(() => {})
    await this.play(turnsMin)
    await this.play(DURING_TURNS, () => isOver)
    while (!isOver) {
      await this.play(1)
      await setTimeout(PAUSE_MS)
    }
    return await done
  }

  /** Ends every transaction, prepared ones too, one way or the other. */
  async settle(): Promise<void> {
    for (const seat of this.#seats.filter(({ isOpen }) => isOpen)) await this.#end(seat, this.#dice.chance(0.8))
    while (this.#prepared.length > 0) await this.#endPrepared()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client } of this.#seats) await client.end()
  }

  async #turn(): Promise<void> {
    const dice = this.#dice
    if (dice.chance(0.03)) return await this.#burst()
    if (this.#prepared.length > 0 && dice.chance(0.05)) return await this.#endPrepared()
    const seat = dice.pick(this.#seats)
    if (!seat.isOpen) {
      if (dice.chance(0.2)) return void (await this.#try(seat, this.#draw(this.isGentle)[0]!))
      return await this.#begin(seat)
    }
    const share = seat.isSlow ? 0.01 : 0.15
    const next = dice.weighted<() => Promise<unknown>>([
      [1, () => this.#act(seat)],
      [share, () => this.#end(seat, true)],
      [share / 6, () => this.#end(seat, false)],
      [share / 8, () => this.#prepare(seat)],
      [0.1, () => this.#savepoint(seat)],
      [0.06, () => this.#rollbackToSavepoint(seat)],
    ])
    await next()
  }

  async #begin(seat: Seat): Promise<void> {
    const dice = this.#dice
    await this.#run(seat, dice.chance(0.15) ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN')
    await this.#run(seat, `SET LOCAL synchronous_commit = ${dice.pick(['on', 'off'])}`)
    seat.isOpen = true
    seat.savepoints = 0
    await this.#act(seat)
  }

  async #act(seat: Seat): Promise<void> {
    const dice = this.#dice
    const isGentle = seat.isSlow || this.isGentle
    const drawDdl = isGentle || !dice.chance(0.15) ? undefined : this.#drawDdl
    if (await this.#try(seat, ...(drawDdl?.(dice) ?? this.#draw(isGentle)))) return
    if (seat.savepoints > 0 && dice.chance(0.7)) await this.#run(seat, `ROLLBACK TO SAVEPOINT s${seat.savepoints}`)
    else await this.#end(seat, false)
  }

  /** Who stays long takes no lock that keeps readers out. */
  #draw(isGentle: boolean): readonly string[] {
    const dice = this.#dice
    for (;;) {
      const statements = drawAction(dice)
      if (!isGentle || !statements.some((statement) => statement.startsWith('TRUNCATE'))) return statements
    }
  }

  async #end(seat: Seat, isCommit: boolean): Promise<void> {
    seat.isOpen = false
    await this.#try(seat, isCommit ? 'COMMIT' : 'ROLLBACK')
  }

  async #savepoint(seat: Seat): Promise<void> {
    if (seat.savepoints >= SAVEPOINTS_MAX) return
    seat.savepoints += 1
    await this.#run(seat, `SAVEPOINT s${seat.savepoints}`)
  }

  async #rollbackToSavepoint(seat: Seat): Promise<void> {
    if (seat.savepoints === 0) return
    seat.savepoints = this.#dice.between(1, seat.savepoints)
    await this.#run(seat, `ROLLBACK TO SAVEPOINT s${seat.savepoints}`)
  }

  async #prepare(seat: Seat): Promise<void> {
    if (this.#prepared.length >= PREPARED_MAX) return
    this.#preparedEver += 1
    const name = `history ${this.#preparedEver}`
    seat.isOpen = false
    if (await this.#try(seat, `PREPARE TRANSACTION '${name}'`)) this.#prepared.push(name)
  }

  async #endPrepared(): Promise<void> {
    const [name] = this.#prepared.splice(this.#dice.below(this.#prepared.length), 1)
    const seat = this.#seats.find(({ isOpen }) => !isOpen)
    if (!seat) return void this.#prepared.push(name!)
    await this.#run(seat, `${this.#dice.chance(0.7) ? 'COMMIT' : 'ROLLBACK'} PREPARED '${name}'`)
  }

  /** All at the same time, so that commit records and visibility come in any order (P3). */
  async #burst(): Promise<void> {
    const open = this.#seats.filter((seat) => seat.isOpen && !seat.isSlow)
    const idle = this.#seats.filter((seat) => !seat.isOpen)
    await Promise.all([
      ...open.map((seat) => this.#end(seat, true)),
      ...idle.map((seat) => this.#try(seat, this.#draw(this.isGentle)[0]!)),
    ])
  }

  /** @returns whether all of them were carried out */
  async #try(seat: Seat, ...statements: readonly string[]): Promise<boolean> {
    try {
      for (const statement of statements) await this.#run(seat, statement)
      return true
    } catch (error) {
      // What the server refuses belongs to the history; a statement of ours that is wrong does not.
      if (!(error instanceof pg.DatabaseError) || !EXPECTED.has(error.code ?? '')) throw error
      this.failed += 1
      return false
    }
  }

  /** A COPY has its lines behind its statement. */
  async #run(seat: Seat, statement: string): Promise<void> {
    this.statements += 1
    const [copy = '', ...lines] = statement.startsWith('COPY ') ? statement.split('\n') : []
    if (copy === '') await seat.client.query(statement)
    else await pipeline(Readable.from(lines.map((line) => `${line}\n`)), seat.client.query(copyFrom(copy)))
  }
}

/** Constraints, locks, serialisation, deadlocks, what a transaction with such an error still says. */
const REFUSED = '23502 23503 23505 23514 25P02 40001 40P01 55P03 55P04 57014 55006 22P02 22P04 0A000'
/** What is not there any more, or there already, or of another shape. */
const RESHAPED = '42P01 42P07 42P10 42701 42703 42704 42710 42804 42809 42846 42P17 55000 22023 22003 22004 2BP01'
const EXPECTED = new Set(`${REFUSED} ${RESHAPED}`.split(' '))
