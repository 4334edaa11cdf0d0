import { describe, expect, it } from 'vitest'
import { hasNumber, isTransactionOf, parseMark } from '../../../src/restore/patient/own-transaction.ts'

const NAME = '6F9619FF-8B86-D011-B42D-00C04FC964FF'
const kept = (id: string) => {
  return { transaction: { id, engine: 'sqlserver', systemId: 's', timeline: 1, databaseOid: 'icu' } } as const
}
const marked = (text: string) => parseMark(text)!

describe('a transaction that says it is a restore of ours (P21)', () => {
  it('is told by its number where transactions have numbers, of which the log keeps 32 bits', () => {
    expect(isTransactionOf(kept('4294967303'), marked('changeset c'), 7)).toBe(true)
    expect(isTransactionOf(kept('4294967303'), marked('changeset c'), 8)).toBe(false)
  })

  it('is told by the name that it gave itself where they have none', () => {
    expect(isTransactionOf(kept(NAME), marked(`changeset c ${NAME}`), 0)).toBe(true)
    expect(isTransactionOf(kept(NAME), marked('changeset c another'), 0)).toBe(false)
    expect(isTransactionOf(kept(NAME), marked('changeset c'), 0)).toBe(false)
    expect(isTransactionOf(kept('0'), marked('changeset c'), 0)).toBe(false)
  })

  it('of a numbered transaction no name tells, and of a named one no number', () => {
    expect(isTransactionOf(kept('7'), marked('changeset c 7'), 7)).toBe(false)
    expect(hasNumber(kept(NAME), 0)).toBe(false)
  })

  it('speaks of a changeset, or of none', () => {
    expect(parseMark('changeset c.1 n')).toEqual({ changesetId: 'c.1', transactionName: 'n' })
    expect([parseMark(null), parseMark('drill x'), parseMark('changeset a b c')]).toEqual([null, null, null])
  })
})
