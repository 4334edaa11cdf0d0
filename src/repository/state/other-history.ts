/**
 * Whether a snapshot and a change log tell of one history. What a read sees was committed before it, in the log as in
 * time. On a copy of the server, time goes on otherwise, and the same numbers stand for other transactions (P5): then one
 * that the snapshot seems to see commits, in the log, behind the snapshot's own position.
 */
import { Failure } from '../../errors.ts'
import type { TransactionStamp } from '../change-log/change.ts'
import { formatLsn, parseLsn } from '../lsn.ts'
import type { Manifest } from '../manifest.ts'
import { isVisible, parseVisibility, WholeXids } from '../visibility.ts'

type Standing = Pick<Manifest, 'snapshotId' | 'position'>

/** To be asked of every transaction from the snapshot's place in the log on, in order. @throws history-differs */
export function historyGuard({
  snapshotId,
  position,
}: Standing): (stamp: Pick<TransactionStamp, 'xid' | 'commitLsn'>) => void {
  const then = parseVisibility(position.visible)
  const whole = new WholeXids(then.xmax)
  const lsn = parseLsn(position.lsn)
  return (stamp) => {
    const { commitLsn } = stamp
    const isThere = isVisible(then, whole.of(stamp))
    if (commitLsn < lsn || !isThere) return
    const at = `${formatLsn(commitLsn)}, behind its position ${position.lsn}`
    throw new Failure(
      'history-differs',
      `snapshot ${snapshotId} is of another history: it has a transaction that commits at ${at}`,
      {
        context: { snapshot: snapshotId },
        hints: ['It was taken of a copy of the server. Choose a moment before it, and run `chartkeep backup`.'],
      },
    )
  }
}
