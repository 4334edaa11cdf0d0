/** Large loads from memory that is used again while earlier pieces of it are still on their way. */
import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { connect } from '../../../src/source/postgres/connect.ts'
import { CopyIn } from '../../../src/source/postgres/copy-in.ts'
import { CopyOut } from '../../../src/source/postgres/copy-out.ts'
import { describeOnServers, oldestAndNewest } from './support.ts'

const ROWS = 60_000

/** One buffer for all, overwritten as soon as the next is asked for. */
async function* lines(digest: (line: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  const memory = Buffer.alloc(1 << 20)
  for (let row = 0; row < ROWS; ) {
    let end = 0
    for (const last = Math.min(ROWS, row + 1 + (row % 97)); row < last; row += 1) {
      const times = row === 100 ? 30_000 : 1 + (row % 100)
      end += memory.write(`${row}\t${`${row * 7919} `.repeat(times)}\n`, end)
    }
    digest(memory.subarray(0, end))
    yield memory.subarray(0, end)
    memory.fill(0x39, 0, end)
  }
}

describeOnServers('A load of many megabytes', oldestAndNewest.slice(-1), (server) => {
  it('arrives as it was when it was given', async () => {
    await using session = await connect({ url: server().url() }, 'write')
    await session.query('CREATE TABLE public.t (i integer, t text)')
    const sent = createHash('sha256')
    const copy = session.client.query(new CopyIn('COPY public.t FROM STDIN'))
    expect(await copy.send(lines((text) => sent.update(text)))).toBe(ROWS)
    const found = createHash('sha256')
    const back = session.client.query(new CopyOut('COPY (SELECT * FROM public.t ORDER BY i) TO STDOUT'))
    for await (const text of back.views()) found.update(text)
    expect(found.digest('hex')).toBe(sent.digest('hex'))
  })
})
