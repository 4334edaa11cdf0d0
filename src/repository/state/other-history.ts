/**
 * Whether a snapshot and a change log tell of one history. What a read sees was committed before it, in the log as in
 * time. On a copy of the server, time goes on otherwise, and the same numbers stand for other transactions (P5): then one
 * that the snapshot seems to see commits, in the log, behind the snapshot's own position.
 *
 * Only those that change something count. A VACUUM that gives space back has a number, too, and no snapshot lists it
 * among those in progress (PROC_IN_VACUUM in PostgreSQL's procarray.c), so that it passes for committed while it runs;
 * servers before 15 stream it, without a change. It waits, for five seconds, for the locks that a backup holds: the two
 * meet of themselves.
 */
import { Failure } from '../../errors.ts'
import type { LoggedTransaction } from '../change-log/change.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import type { Manifest } from '../manifest.ts'
import { isVisible, parseVisibility, WholeXids } from '../visibility.ts'

type Standing = Pick<Manifest, 'snapshotId' | 'position'>

/** @param transactions all from the snapshot's place in the log on, in order. @throws history-differs, and as they do */
export async function* ofOneHistory<T extends LoggedTransaction>(
  transactions: AsyncIterable<T>,
  snapshot: Standing,
): AsyncGenerator<T> {
  const then = parseVisibility(snapshot.position.visible)
  const whole = new WholeXids(then.xmax)
  const lsn = parseLsn(snapshot.position.lsn)
  for await (const part of transactions) {
    const isThere = isVisible(then, whole.of(part))
    if (isThere && part.commitLsn >= lsn && part.changes.length > 0) throw otherHistory(snapshot, part)
    yield part
  }
}

function otherHistory({ snapshotId, position }: Standing, { xid, commitLsn }: LoggedTransaction): Failure {
  const at = `${formatLsn(commitLsn)}, behind its position ${position.lsn}`
  return new Failure(
    'history-differs',
    `snapshot ${snapshotId} is of another history: it has a transaction that commits at ${at}`,
    {
      context: { snapshot: snapshotId, xid, visible: position.visible },
      hints: ['It was taken of a copy of the server. Choose a moment before it, and run `chartkeep backup`.'],
    },
  )
}
