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
  // Of a line that has not ended: put together once, however many pieces it comes in.
  let begun: Buffer[] = []
  let batch: string[] = []
  let bytes = 0
  for await (const chunk of chunks) {
    const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let start = 0
    for (let end = text.indexOf(NEWLINE); end >= 0; end = text.indexOf(NEWLINE, start)) {
      begun.push(text.subarray(start, end))
      const line = Buffer.concat(begun)
      begun = []
      batch.push(line.toString('utf8'))
      bytes += line.length
      start = end + 1
    }
    // A piece is gone when the next is asked for: what is kept of it is a copy.
    if (start < text.length) begun.push(Buffer.from(text.subarray(start)))
    if (bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
  if (begun.length > 0) throw new Failure('defect', 'the last line of a table has no end')
}
