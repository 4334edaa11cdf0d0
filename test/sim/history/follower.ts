/** Capture amid a history: in a process of its own, which is killed now and then, or in this one, which is faster. */
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { RunningCommand } from '../../../scripts/demo/running-command.ts'
import { slotName } from '../../../src/backup/capture/slot-name.ts'
import { openSource } from '../../../src/source/open.ts'
import { captureAt } from './capture-place.ts'
import { type FollowOptions, newestLog } from './chartkeep.ts'

export interface Following {
  /** Kinds of its events so far. */
  kinds(): readonly string[]
  /** Why it ended by itself, or null. */
  failure(): unknown
  stop(): Promise<void>
  /** As a power cut would. */
  kill(): Promise<void>
}

const DOOMED = fileURLToPath(new URL('doomed-capture.ts', import.meta.url))
const PATIENCE_MS = 90_000
const LOOK_ANYWAY_MS = 500

export class Follower implements AsyncDisposable {
  readonly #options: FollowOptions
  readonly #launch: (options: FollowOptions) => Following
  readonly #past: string[] = []
  #following: Following

  constructor(options: FollowOptions, { ownProcess }: { readonly ownProcess: boolean }) {
    this.#options = options
    this.#launch = ownProcess ? inOwnProcess : inThisProcess
    this.#following = this.#launch(options)
  }

  /** Kinds of all events. */
  kinds(): readonly string[] {
    return [...this.#past, ...this.#following.kinds()]
  }

  async connected(): Promise<void> {
    await this.#until(async () => this.#following.kinds().includes('connected'))
  }

  /** Everything committed before the call is in the log when it returns. */
  async caughtUp(): Promise<void> {
    await using source = await openSource({ url: this.#options.url })
    const lsn = await source.changes!.requestSeal()
    let [said, lookedMs] = [-1, 0]
    await this.#until(async () => {
      const saidNow = this.kinds().length
      // A look reads the log, and only an event tells of something new in it.
      if (saidNow === said && performance.now() - lookedMs < LOOK_ANYWAY_MS) return false
      ;[said, lookedMs] = [saidNow, performance.now()]
      return (await (await newestLog(this.#options)).end()) >= lsn
    })
  }

  /** The server ends the connection, as after a failure of the network. */
  async cutOff(client: pg.Client): Promise<void> {
    const slot = slotName(this.#options.made.repository.id, this.#options.sourceName)
    await client.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name = ${pg.escapeLiteral(slot)}`,
    )
  }

  /** Killed, and begun again by whoever looks after services. */
  async killAndRestart(): Promise<void> {
    await this.#following.kill()
    this.#past.push(...this.#following.kinds(), 'killed')
    this.#following = this.#launch(this.#options)
  }

  /** Ends, loses its slot as by a hand or a server put back, and begins again: with another log. */
  async loseSlot(client: pg.Client, meanwhile: () => Promise<void>): Promise<void> {
    const slot = pg.escapeLiteral(slotName(this.#options.made.repository.id, this.#options.sourceName))
    await this.stop()
    this.#past.push(...this.#following.kinds(), 'slot-lost')
    const rest = async () => (await client.query(`SELECT FROM pg_replication_slots WHERE slot_name = ${slot}`)).rowCount
    // A walsender that was told to end may hold its slot for a moment more.
    while ((await rest()) !== 0) {
      const idle = `FROM pg_replication_slots WHERE slot_name = ${slot} AND NOT active`
      await client.query(`SELECT pg_drop_replication_slot(slot_name) ${idle}`)
    }
    await meanwhile()
    this.#following = this.#launch(this.#options)
    await this.connected()
  }

  async stop(): Promise<void> {
    await this.#following.stop()
    const failure = this.#following.failure()
    if (failure) throw failure
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following.stop()
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!(await condition())) {
      const failure = this.#following.failure()
      if (failure) throw failure
      if (performance.now() > deadline) throw new Error(`it did not come about: ${this.kinds().slice(-8).join(', ')}`)
      await setTimeout(10)
    }
  }
}

function inThisProcess({ made, ...place }: FollowOptions): Following {
  const kinds: string[] = []
  const stop = new AbortController()
  let failure: unknown = null
  const ended = captureAt(made.repository, place, stop.signal, ({ kind }) => kinds.push(kind)).catch((error) => {
    failure = error
  })
  const end = async (): Promise<void> => {
    stop.abort(new Error('stopped by the history'))
    await ended
  }
  return { kinds: () => kinds, failure: () => failure, stop: end, kill: end }
}

function inOwnProcess({ made, ...place }: FollowOptions): Following {
  const plan = JSON.stringify({ ...place, repositoryUrl: made.settings.url })
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', DOOMED, plan]
  const running = new RunningCommand(program, { cwd: process.cwd(), env: process.env })
  let failure: unknown = null
  let isWanted = true
  void running.ended().then(({ status, stderr }) => {
    if (isWanted || status !== 0) failure = new Error(`capture ended with status ${status}: ${stderr}`)
  })
  return {
    kinds: () => running.said.map(({ kind }) => String(kind)),
    failure: () => failure,
    stop: async () => {
      isWanted = false
      await running.stop()
    },
    kill: async () => {
      await running.kill()
    },
  }
}
