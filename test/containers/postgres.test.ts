/**
 * The promises of every source, on the PostgreSQL image that hospitals run in containers: another build, another C
 * library and locale than the servers of the other tests, and a password to log in with.
 */
import { PostgreSqlContainer, type StartedPostgreSqlContainer } from '@testcontainers/postgresql'
import pg from 'pg'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import type { ConnectionSettings } from '../../src/source/contract.ts'
import { describeSource, type SourceBench } from '../source/source-suite.ts'

const IMAGES = ['postgres:18', 'postgres:15-alpine']
const PASSWORD = 'in-a-container'

describe.runIf(inject('containerEngine') !== null).each(IMAGES)('the image %s', (image) => {
  let container: StartedPostgreSqlContainer

  beforeAll(async () => {
    container = await new PostgreSqlContainer(image).withPassword(PASSWORD).start()
  }, 300_000)

  afterAll(async () => {
    await container?.stop()
  })

  describeSource('keeps what every source promises', () => benchOf(container))
})

function benchOf(container: StartedPostgreSqlContainer): SourceBench {
  const server = `postgres://${container.getUsername()}@${container.getHost()}:${container.getPort()}`
  let made = 0
  return {
    createDatabase: async () => {
      made += 1
      const name = `suite_${made}_${process.hrtime.bigint()}`
      await run({ url: `${server}/${container.getDatabase()}`, password: PASSWORD }, `CREATE DATABASE ${name}`)
      return { url: `${server}/${name}`, password: PASSWORD }
    },
    run,
    example: `CREATE SCHEMA ward; CREATE TABLE ward.patient (id integer PRIMARY KEY, name text NOT NULL);
      CREATE TABLE ward.note (note integer PRIMARY KEY, patient integer REFERENCES ward.patient);
      INSERT INTO ward.patient SELECT i, '病人' || i FROM generate_series(1, 1000) i;
      INSERT INTO ward.note SELECT i, i FROM generate_series(1, 1000) i`,
    addRows: `INSERT INTO ward.patient VALUES (5000, 'late'); INSERT INTO ward.note VALUES (5000, 5000)`,
  }
}

async function run({ url, password }: ConnectionSettings, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, ...(password !== undefined && { password }) })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
