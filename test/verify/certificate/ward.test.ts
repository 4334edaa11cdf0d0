/** No false accusation, and none missed: the reference ward at work, with and without losses planted beside it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresServer, startPostgres } from '../../../scripts/support/postgres-server.ts'
import { makeRepository, type TestRepository } from '../../support/repository.ts'
import { openWardSite, type WardSite } from './ward-round.ts'

let server: PostgresServer
let made: TestRepository
let site: WardSite

beforeAll(async () => {
  server = await startPostgres()
  made = await makeRepository()
  site = await openWardSite(server, made, 12_000)
}, 180_000)

afterAll(async () => {
  await site?.[Symbol.asyncDispose]()
  await made?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

describe('what the ward did through its application', () => {
  it.each([1, 2])('is no loss, and what was done past it is found row by row (seed %i)', async (seed) => {
    const found = await site.round(seed, 250)

    expect(found.accused).toEqual(found.planted)
    expect(found.balanceCloses).toBe(true)
    expect(found.actions).toBeGreaterThan(100)
  }, 120_000)
})
