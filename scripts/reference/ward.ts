/**
 * Plays the ward on a reference database: a stream of small transactions over a few connections, at a chosen rate.
 *
 * What turn number n does is decided by the seed and n alone, whatever the speed of the server; which rows it meets
 * depends on what the other connections have done meanwhile. A turn that finds nothing to do (no present patient, no
 * free bed) is counted as such. A database error ends its turn only, and is counted by SQLSTATE: its message would
 * quote rows (F42).
 */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { Failure } from '../../src/errors.ts'
import { END_OF_DATA } from './moment.ts'
import { Random } from './random.ts'
import { chooseAction, type WardActionName, wardActions } from './ward-choice.ts'
import type { Floor } from './ward-turn.ts'

export interface WardOptions {
  readonly url: string
  /** Default 1. */
  readonly seed?: number | undefined
  /** Over all connections; `Infinity` for as fast as the server answers. Default 20. */
  readonly actionsPerSecond?: number | undefined
  /** The share of turns that delete, in [0, 1]. Default 0.01. */
  readonly deletionShare?: number | undefined
  /** Default 4. */
  readonly connections?: number | undefined
  /** Ends by itself after so many turns. */
  readonly actionsMax?: number | undefined
}

export interface WardReport {
  /** Turns that changed something. */
  readonly actions: number
  readonly done: Readonly<Partial<Record<WardActionName, number>>>
  /** Turns that found nothing to do. */
  readonly idle: Readonly<Partial<Record<WardActionName, number>>>
  /** Turns that ended in an error, by SQLSTATE, or `connection` where the server could not be reached. */
  readonly errors: Readonly<Record<string, number>>
  readonly seconds: number
}

export interface Ward {
  /** Settles when the ward ends: by `stop`, or after `actionsMax` turns. */
  readonly finished: Promise<WardReport>
  /** Lets the turns under way end, then reports. */
  stop(): Promise<WardReport>
}

/** Seconds of the ward's clock between two turns. */
const TURN_SECONDS = 15
const RECONNECT_MS = 500
const CONNECT_TIMEOUT_MS = 10_000
const ZONE_SECONDS = 8 * 3600

export async function startWard(options: WardOptions): Promise<Ward> {
  const seed = options.seed ?? 1
  const connections = options.connections ?? 4
  const pool = new pg.Pool({
    connectionString: options.url,
    max: connections,
    application_name: 'ward',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  // A connection that breaks is dropped and the next turn opens another. Unheard, its error would end the process:
  // the pool tells of idle connections, each client of its own.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  const run = new WardRun(pool, options, { ...(await readFloor(pool)), seed, courses: new Map() })
  const finished = run.play(connections).finally(() => pool.end())
  return {
    finished,
    stop: () => {
      run.stopping.abort()
      return finished
    },
  }
}

class WardRun {
  readonly stopping = new AbortController()
  private readonly pool: pg.Pool
  private readonly floor: Floor & { readonly startsAt: number }
  private readonly turnMs: number
  private readonly deletionShare: number
  private readonly turnsMax: number
  private readonly startedMs = performance.now()
  private turns = 0
  private readonly done: Partial<Record<WardActionName, number>> = {}
  private readonly idle: Partial<Record<WardActionName, number>> = {}
  private readonly errors: Record<string, number> = {}

  constructor(pool: pg.Pool, options: WardOptions, floor: Floor & { readonly startsAt: number }) {
    this.pool = pool
    this.floor = floor
    this.turnMs = 1000 / (options.actionsPerSecond ?? 20)
    this.deletionShare = options.deletionShare ?? 0.01
    this.turnsMax = options.actionsMax ?? Number.POSITIVE_INFINITY
  }

  async play(connections: number): Promise<WardReport> {
    const players = Array.from({ length: connections }, () => this.playConnection())
    try {
      await Promise.all(players)
    } finally {
      // One player's defect ends the others too, before anybody hears of it.
      this.stopping.abort()
      await Promise.allSettled(players)
    }
    const { done, idle, errors } = this
    const changed = Object.values(done).reduce((sum, count) => sum + count, 0)
    return { actions: changed, done, idle, errors, seconds: (performance.now() - this.startedMs) / 1000 }
  }

  private async playConnection(): Promise<void> {
    const { signal } = this.stopping
    while (!signal.aborted && this.turns < this.turnsMax) {
      const turn = this.turns++
      const waitMs = this.startedMs + turn * this.turnMs - performance.now()
      if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined)
      if (!signal.aborted) await this.takeTurn(turn)
    }
  }

  private async takeTurn(turn: number): Promise<void> {
    const random = new Random(this.floor.seed, 'ward', turn)
    const name = chooseAction(random, this.deletionShare)
    try {
      const now = this.floor.startsAt + (turn + 1) * TURN_SECONDS
      const found = await inTransaction(this.pool, (client) =>
        wardActions[name]({ client, random, now, floor: this.floor }),
      )
      const counts = found ? this.done : this.idle
      counts[name] = (counts[name] ?? 0) + 1
    } catch (error) {
      const code = errorCode(error)
      this.errors[code] = (this.errors[code] ?? 0) + 1
      if (code === 'connection')
        await sleep(RECONNECT_MS, undefined, { signal: this.stopping.signal }).catch(() => undefined)
    }
  }
}

async function inTransaction(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<boolean>): Promise<boolean> {
  const client = await pool.connect()
  let broken = true
  try {
    await client.query('begin')
    const found = await work(client)
    await client.query('commit')
    broken = false
    return found
  } catch (error) {
    broken = !(await client.query('rollback').then(
      () => true,
      () => false,
    ))
    throw error
  } finally {
    client.release(broken)
  }
}

/** Errors that only a mistake of ours can raise go on; the world's are counted. */
function errorCode(error: unknown): string {
  if (error instanceof pg.DatabaseError) return error.code ?? 'unknown'
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) throw error
  return 'connection'
}

/** Who works where, and the moment after the last charted one. */
async function readFloor(pool: pg.Pool): Promise<Pick<Floor, 'nurses' | 'doctors'> & { readonly startsAt: number }> {
  try {
    const staff = await pool.query<{ department_id: string; role: string; ids: number[] }>(
      `select department_id, role, array_agg(staff_id order by staff_id) as ids from public.staff
       where active and role in ('医生', '护士') group by 1, 2`,
    )
    const ofRole = (role: string): Map<string, number[]> =>
      new Map(staff.rows.filter((row) => row.role === role).map((row) => [row.department_id, row.ids]))
    // The newest row by its number: found through the key, whatever the size.
    const last = await pool.query<{ second: number }>(
      `select extract(epoch from recorded_at)::float8 as second from public.vital_sign order by vital_id desc limit 1`,
    )
    const second = last.rows[0]?.second
    const startsAt = second === undefined ? END_OF_DATA : Math.ceil(second) + ZONE_SECONDS
    return { nurses: ofRole('护士'), doctors: ofRole('医生'), startsAt }
  } catch (error) {
    await pool.end()
    const code = errorCode(error)
    if (code === 'connection') throw new Failure('source-unreachable', 'cannot reach the database of the ward')
    throw new Failure('source-failed', `reading the staff ended with SQLSTATE ${code}`, {
      hints: ['The ward program needs a database made by scripts/reference-database.ts.'],
    })
  }
}
