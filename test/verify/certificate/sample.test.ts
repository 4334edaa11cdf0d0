/** Draws that anybody can repeat, and bounds that say no more than the sample shows (F33). */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { probabilityOfAtMost, upperBound } from '../../../src/verify/certificate/bound.ts'
import { draw } from '../../../src/verify/certificate/sample.ts'

describe('a draw', () => {
  it('is what its description says, number by number', () => {
    const seed = '抽样'
    const wanted: number[] = []
    for (let counter = 0; wanted.length < 5; counter += 1) {
      const value = createHmac('sha256', seed).update(`rows\n${counter}`).digest().readBigUInt64BE(0)
      const number = Number(value % 97n)
      if (!wanted.includes(number)) wanted.push(number)
    }

    expect(draw({ seed, name: 'rows', population: 97, sample: 5 })).toEqual(wanted.sort((a, b) => a - b))
  })

  it('has as many different numbers as were asked for, in order, and all where there are no more', () => {
    const request = fc.record({
      seed: fc.string(),
      name: fc.string(),
      population: fc.integer({ min: 0, max: 60 }),
      sample: fc.integer({ min: 1, max: 60 }),
    })
    fc.assert(
      fc.property(request, (wanted) => {
        const numbers = draw(wanted)
        expect(numbers.length).toBe(Math.min(wanted.population, wanted.sample))
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
        expect(numbers.every((number) => number >= 0 && number < wanted.population)).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})

describe('the bound of a sample (F33)', () => {
  it('is the one that counting every possible sample gives', () => {
    const small = fc.record({
      population: fc.integer({ min: 1, max: 12 }),
      sample: fc.integer({ min: 0, max: 12 }),
      failures: fc.integer({ min: 0, max: 12 }),
    })
    fc.assert(
      fc.property(small, ({ population, ...rest }) => {
        const sample = Math.min(rest.sample, population)
        const failures = Math.min(rest.failures, sample)
        expect(upperBound({ population, sample, failures })).toBe(slowBound(population, sample, failures))
      }),
      { numRuns: 300 },
    )
  })

  it('is what the field notes say of 300 and 3,000 without a failure, of very many', () => {
    const share = (sample: number) => upperBound({ population: 10_000_000, sample, failures: 0 }) / 10_000_000

    expect(share(300)).toBeCloseTo(0.00994, 4)
    expect(share(3_000)).toBeCloseTo(0.000998, 5)
    expect(probabilityOfAtMost(0, { population: 1e9, sample: 300, wrong: 1e7 })).toBeCloseTo(0.99 ** 300, 5)
  })

  it('is all where nothing was looked at, and what was found where everything was', () => {
    expect(upperBound({ population: 50, sample: 0, failures: 0 })).toBe(50)
    expect(upperBound({ population: 50, sample: 50, failures: 3 })).toBe(3)
  })
})

/** By counting: of so many rows, the first `wrong` are wrong, and all samples are equally likely. */
function slowBound(population: number, sample: number, failures: number): number {
  let bound = failures
  for (let wrong = 0; wrong <= population - (sample - failures); wrong += 1) {
    let fitting = 0
    let all = 0
    for (let set = 0; set < 2 ** population; set += 1) {
      if (bits(set) !== sample) continue
      all += 1
      if (bits(set & (2 ** wrong - 1)) <= failures) fitting += 1
    }
    if (fitting / all > 0.05) bound = Math.max(bound, wrong)
  }
  return bound
}

function bits(set: number): number {
  let count = 0
  for (let rest = set; rest > 0; rest &= rest - 1) count += 1
  return count
}
