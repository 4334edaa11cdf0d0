/**
 * What a restore of ours leaves in the change log, by which it is told from what the application did (P21): a row of
 * `chartkeep.mark`, put in and taken out again by its transaction. Change data capture tells both, and nothing stays. The
 * row has a number of its own, so that neither another restore nor a request for a seal (row 1) waits for it.
 *
 * Where the table is not there, nothing is captured that somebody could look for; where this login may not write it, or it
 * was made for shorter words, the restore goes ahead without: `doctor` says so beforehand.
 */
import { MARK_TABLE } from './changes/questions.ts'
import type { Session } from './connect.ts'
import { quoteText } from './quote.ts'

const BYTES_PER_CHARACTER = 2
/** `changeset`, its id, and the name of the transaction: what doctor asks for. */
export const MARK_CHARACTERS_MAX = 100

/** Whether a mark of this length can be left; null: changes are not followed here. */
export async function mayMark(session: Session, characters: number): Promise<boolean | null> {
  const [row] = await session.query(
    `SELECT OBJECT_ID(${quoteText(MARK_TABLE)}) AS there, COL_LENGTH(${quoteText(MARK_TABLE)}, N'token') AS bytes, ` +
      ['SELECT', 'INSERT', 'DELETE']
        .map(
          (right) => `HAS_PERMS_BY_NAME(${quoteText(MARK_TABLE)}, 'OBJECT', '${right}') AS may_${right.toLowerCase()}`,
        )
        .join(', '),
  )
  if (row?.there == null) return null
  const isWide = Number(row.bytes) >= characters * BYTES_PER_CHARACTER
  return isWide && [row.may_select, row.may_insert, row.may_delete].every((may) => may === '1')
}

/** Before the first row is written: of a transaction that is read while it is told, the mark comes first. */
export async function leaveMark(session: Session, text: string): Promise<void> {
  if ((await mayMark(session, text.length)) !== true) return
  await session.query(
    `DECLARE @number int = 2 + ABS(CHECKSUM(NEWID()) % 2000000000);
     INSERT INTO ${MARK_TABLE} (id, token) VALUES (@number, ${quoteText(text)});
     DELETE FROM ${MARK_TABLE} WHERE id = @number`,
  )
}
