/** The digests of a plan's rows are HMAC-SHA-256 as anybody computes it, whatever the rows' lengths. */
import { createHmac, hkdfSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type DigestedRow, RowDigests } from '../../../src/restore/patient/row-digests.ts'

const SALT_KEY = Buffer.from('0123456789abcdef0123456789abcdef')
const KEY = Buffer.from(hkdfSync('sha256', SALT_KEY, new Uint8Array(), 'chartkeep plan rows v1', 32))

function expected(table: string, { key, past, present }: DigestedRow): string {
  const packed = (line: Buffer | null) => (line === null ? '-\n' : `+${line.toString('latin1')}\n`)
  const message = Buffer.from(`row ${table}\n+${key}\n${packed(past)}${packed(present)}`, 'latin1')
  return createHmac('sha256', KEY).update(message).digest('hex')
}

function digestsOf(table: string, rows: readonly DigestedRow[]): string[] {
  const all = new RowDigests(SALT_KEY).of(table, rows)
  expect(all.length).toBe(32 * rows.length)
  return rows.map((_, index) => all.toString('hex', 32 * index, 32 * index + 32))
}

describe('digests of rows', () => {
  it('of every length over several blocks, on one side, on both and on none, are right', () => {
    const line = Buffer.from(Array.from({ length: 300 }, (_, i) => 1 + ((i * 7) % 255)))
    const rows = Array.from({ length: 290 }, (_, length): DigestedRow[] => [
      { key: 'é1', past: line.subarray(0, length), present: null },
      { key: '', past: null, present: line.subarray(length) },
      { key: `${length}\tx`, past: line.subarray(0, length), present: line.subarray(0, 300 - length) },
    ]).flat()
    rows.push({ key: 'none', past: null, present: null })
    expect(digestsOf('public.t', rows)).toEqual(rows.map((row) => expected('public.t', row)))
  })

  it('of more rows than go together, and of rows too large to, are each in its place', () => {
    const large = Buffer.alloc(300_000, 'x')
    const rows = Array.from({ length: 10_000 }, (_, i): DigestedRow => {
      const past = i % 3333 === 1 ? large.subarray(i) : Buffer.from(`${i}\t${'v'.repeat(i % 90)}`)
      return { key: String(i), past, present: i % 2 === 0 ? null : Buffer.from(`${i}`) }
    })
    expect(digestsOf('w."表"', rows)).toEqual(rows.map((row) => expected('w."表"', row)))
    expect(digestsOf('public.empty', [])).toEqual([])
  })
})
