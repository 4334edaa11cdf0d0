/** Rows into one table of the database being rebuilt, in one transaction. Keys, constraints and triggers do not exist yet. */
import { Failure } from '../../errors.ts'
import type { LoadTable } from '../contract.ts'
import { connect } from './connect.ts'
import { toSqlServerFailure } from './failures.ts'
import { insertLines } from './staging.ts'

/** Text of one batch: what the server sorts into tempdb and converts at once. */
const BATCH_BYTES = 4 * 1024 * 1024
const NEWLINE = 0x0a

/** @throws target-failed, missing-rights, source-unreachable */
export const loadTable: LoadTable = async (connection, table, lines, signal) => {
  signal.throwIfAborted()
  const session = await connect(connection, 'target')
  const stop = () => session.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    return await insertLines(session, table, async (store) => {
      await session.query('BEGIN TRANSACTION')
      for await (const batch of batchesOf(lines)) await store(batch)
      await session.query('COMMIT TRANSACTION')
    })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw toSqlServerFailure(error, { doing: `loading ${table.sqlName}`, side: 'target' })
  } finally {
    signal.removeEventListener('abort', stop)
    session.destroy()
  }
}

/** Whole lines, without their newline. */
async function* batchesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string[]> {
  let rest: Buffer = Buffer.alloc(0)
  let batch: string[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    const text = Buffer.concat([rest, chunk])
    let start = 0
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      batch.push(text.toString('utf8', start, end))
      bytes += end - start
      start = end + 1
    }
    rest = text.subarray(start)
    if (bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
  if (rest.length > 0) throw new Failure('defect', 'the last line of a table has no end')
}
