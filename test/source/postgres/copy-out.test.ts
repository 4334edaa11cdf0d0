/** Large reads, by a reader that now and then has other things to do, through either kind of socket. */
import { createHash, hash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { connect } from '../../../src/source/postgres/connect.ts'
import { CopyOut } from '../../../src/source/postgres/copy-out.ts'
import { describeOnServers, oldestAndNewest } from './support.ts'

const ROWS = 60_000
const LONG_ROW = 20_000
const STATEMENT = `COPY (SELECT i, repeat(md5(i::text), CASE WHEN i = ${LONG_ROW} THEN 60000 ELSE 1 + i % 7 END)
  FROM generate_series(1, ${ROWS}) i) TO STDOUT`

describeOnServers('A COPY of many megabytes', oldestAndNewest.slice(-1), (server) => {
  it.each(['read', 'write'] as const)('arrives whole, the connection of purpose %s going on', async (purpose) => {
    await using session = await connect({ url: server().url() }, purpose)
    for (const patience of [0, 20]) {
      const found = createHash('sha256')
      let pieces = 0
      for await (const piece of session.client.query(new CopyOut(STATEMENT)).views()) {
        found.update(piece)
        pieces += 1
        if (pieces % 3 === 0) await setTimeout(patience)
      }
      expect(pieces).toBeGreaterThan(8)
      expect(found.digest('hex')).toBe(expectedDigest())
      expect(await session.query('SELECT 7 AS answer')).toEqual([{ answer: '7' }])
    }
  })
})

function expectedDigest(): string {
  const lines = createHash('sha256')
  for (let i = 1; i <= ROWS; i += 1) {
    const times = i === LONG_ROW ? 60_000 : 1 + (i % 7)
    lines.update(`${i}\t${hash('md5', String(i)).repeat(times)}\n`)
  }
  return lines.digest('hex')
}
