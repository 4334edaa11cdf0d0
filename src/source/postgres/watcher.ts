/**
 * We yield to the application (P11): one ACCESS SHARE lock of ours and one ALTER TABLE that waits for it stop every
 * ward that needs the table, because they queue behind the ALTER.
 *
 * A connection of its own asks every 50 ms whether anybody outside the group waits for a session of the group. If so,
 * every session of the group is ended by the server: asking them to stop would not do, because a backend that is busy
 * sending rows to a reader who has no room listens to nothing but its end. The group's end is also marked, by the
 * watcher's own application_name: a worker whose connection broke can so tell a yield from a crash.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../../errors.ts'
import type { ConnectionSettings } from '../contract.ts'
import { connect, type Session } from './connect.ts'
import { toPostgresFailure } from './failures.ts'
import { quoteText } from './quote.ts'
import { parseUrl, withApplicationName } from './url.ts'

export interface Watcher extends AsyncDisposable {
  /** Its reason is the Failure that the read fails with. */
  readonly yielded: AbortSignal
  /** Ends every session of the group, also one that waits for a lock. */
  endGroup(): void
}

/** With the question itself, well within the promised 200 ms. */
const LOOK_INTERVAL_MS = 50

const watchName = (group: string) => `${group} watch`
const yieldedName = (group: string) => `${group} yielded`

export async function startWatcher(connection: ConnectionSettings, group: string): Promise<Watcher> {
  const session = await connect({ ...connection, url: withApplicationName(connection.url, watchName(group)) }, 'read')
  const controller = new AbortController()
  const stopped = new AbortController()
  const watching = watch({ session, group, controller, stop: stopped.signal })
  return {
    yielded: controller.signal,
    endGroup() {
      // When the watcher's own connection is gone, the keeper is told by `yielded`.
      session.query(endSessions(group)).catch(() => {})
    },
    async [Symbol.asyncDispose]() {
      stopped.abort()
      await watching
      await session[Symbol.asyncDispose]()
    },
  }
}

/** Whether the read that a lost connection belonged to was given up for the application's sake. */
export async function hasYielded(connection: ConnectionSettings): Promise<boolean> {
  const group = parseUrl(connection.url).applicationName
  // Not under the group's own name, by which the watcher would end this session too.
  const asking = { ...connection, url: withApplicationName(connection.url, `${group} asks`) }
  await using session = await connect(asking, 'read')
  const rows = await session.query('SELECT FROM pg_catalog.pg_stat_activity WHERE application_name = $1', [
    yieldedName(group),
  ])
  return rows.length > 0
}

export function yieldFailure(): Failure {
  return new Failure('yielded-to-application', 'the read was given up, because the application waited for its locks', {
    hints: ['Run the command again; where it happens often, run it when nobody changes tables.'],
  })
}

interface Watch {
  readonly session: Session
  readonly group: string
  readonly controller: AbortController
  readonly stop: AbortSignal
}

async function watch({ session, group, controller, stop }: Watch): Promise<void> {
  try {
    while (!stop.aborted) {
      if (!controller.signal.aborted) {
        const waiting = await session.query(whoWaits(group))
        if (waiting.length > 0) {
          // First here, then there: whoever loses a session by it finds out why.
          controller.abort(yieldFailure())
          await session.query(`SET application_name = ${quoteText(yieldedName(group))}; ${endSessions(group)}`)
        }
      } else {
        // A worker may have been connecting when the others were ended.
        await session.query(endSessions(group))
      }
      await sleep(LOOK_INTERVAL_MS, undefined, { signal: stop }).catch(() => {})
    }
  } catch (error) {
    // Nobody watches any more, so nobody may go on reading.
    const failure = toPostgresFailure(error, { doing: 'watching for waiting sessions', side: 'source' })
    if (!stop.aborted) controller.abort(failure)
  }
}

const groupPids = (group: string) =>
  `SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.application_name = ${quoteText(group)}`

function whoWaits(group: string): string {
  return `WITH ours AS MATERIALIZED (${groupPids(group)})
    SELECT l.pid FROM pg_catalog.pg_locks l
    WHERE NOT l.granted AND l.pid NOT IN (SELECT pid FROM ours)
      AND pg_blocking_pids(l.pid) && ARRAY(SELECT pid FROM ours)`
}

function endSessions(group: string): string {
  return `SELECT pg_terminate_backend(ours.pid) FROM (${groupPids(group)}) ours`
}
