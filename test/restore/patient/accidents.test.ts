/** A few seeds of `npm run soak -- patients`; on a smaller database, whose ward is almost empty: seeds that need a second patient are the soak's. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { REFERENCE_PLACE } from './accidents/reference-place.ts'
import { playRound } from './accidents/round.ts'
import { type AccidentSite, openAccidentSite } from './accidents/site.ts'

let site: AccidentSite

beforeAll(async () => {
  site = await openAccidentSite(REFERENCE_PLACE, { rows: 12_000, moments: 2, seed: 1 })
}, 120_000)

afterAll(() => site?.[Symbol.asyncDispose]())

it.each([1, 2, 4, 5, 6])('seed %i: the patient is as then under the policy, everybody else as before', async (seed) => {
  const { findings, story } = await playRound(site, seed, false)
  expect({ story, findings }).toEqual({ story, findings: [] })
}, 60_000)

it.each([12])('seed %i, with wards at work beside it', async (seed) => {
  const { findings, story } = await playRound(site, seed, true)
  expect({ story, findings }).toEqual({ story, findings: [] })
}, 60_000)
