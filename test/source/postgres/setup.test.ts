/** What `setup-sql` prints is run as an administrator would, and then everything is read with the role it made. */
import { expect, it } from 'vitest'
import { openSource, setupSql } from '../../../src/source/open.ts'
import { describeOnServers, linesOf, oldestAndNewest, readAll, runSql, sortedLines } from './support.ts'

describeOnServers('What setup-sql prints', oldestAndNewest, (server) => {
  it('lets the role read every table, sequence and schema, hidden rows included, and write nothing', async () => {
    const url = await server().createDatabase('ward data')
    await runSql(
      url,
      `CREATE ROLE owner NOLOGIN; CREATE SCHEMA "In side" AUTHORIZATION owner; SET ROLE owner;
       CREATE TABLE "In side".t (a integer GENERATED ALWAYS AS IDENTITY, b text); INSERT INTO "In side".t (b) VALUES ('x'), ('y');
       ALTER TABLE "In side".t ENABLE ROW LEVEL SECURITY; CREATE SEQUENCE "In side".s; RESET ROLE`,
    )
    const readerUrl = url.replace('postgres@', 'chart%20reader@')
    const script = setupSql(readerUrl)
    await runSql(url, withoutMetaCommands(script), withoutMetaCommands(script))
    await runSql(url, 'SET ROLE owner; CREATE TABLE "In side".later (a integer)')

    await using read = await readAll(readerUrl)
    expect(read.tableTickets.map((table) => table.name)).toEqual(['"In side".later', '"In side".t'])
    const [, table] = read.tableTickets
    expect(table && sortedLines(await linesOf(read.ticket, table))).toEqual(['', '1\tx', '2\ty'])
    expect((await read.readDdl()).steps.length).toBeGreaterThan(0)
    await using source = await openSource({ url: readerUrl })
    expect((await source.introspect()).sequences).toHaveLength(2)
    await expect(runSql(readerUrl, 'DELETE FROM "In side".t')).rejects.toMatchObject({ code: '42501' })
  })
})

it('names the role and the database of the address, and holds no password', () => {
  const script = setupSql('postgres://re%22ader@db.hospital/icu')
  expect(script).toContain('GRANT CONNECT ON DATABASE "icu" TO "re""ader";')
  expect(script).toContain('\\password "re""ader"')
  expect(script).not.toMatch(/PASSWORD\s+'/i)
})

function withoutMetaCommands(script: string): string {
  return script.replace(/^\\.*$/gm, '')
}
