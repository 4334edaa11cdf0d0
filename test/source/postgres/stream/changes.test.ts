import { expect, it } from 'vitest'
import { describeOnServers } from '../support.ts'
import { capture, streamVersions } from './support.ts'

describeOnServers('The stream', [...new Set([13, ...streamVersions])], (server) => {
  it('gives every kind of change, in the order of commits', async () => {
    await using captured = await capture(server(), {
      sql: ['CREATE TABLE t (a integer, b text, c text, PRIMARY KEY (a))', `INSERT INTO t VALUES (1, 'before', NULL)`],
      publish: 't',
    })
    await using followed = await captured.open()
    await captured.client.query(`INSERT INTO t VALUES (2, E'tab\\there\\\\', 'x'), (3, NULL, '')`)
    await captured.client.query(`UPDATE t SET b = 'new' WHERE a = 1`)
    await captured.client.query(`BEGIN; UPDATE t SET a = 9 WHERE a = 2; DELETE FROM t WHERE a = 3; COMMIT`)
    await captured.client.query(`TRUNCATE t`)
    const told = await followed.untilSeal(captured.changes)
    expect(told.map(({ lines }) => lines)).toEqual([
      ['insert public.t - 2|tab\\there\\\\|x', 'insert public.t - 3|\\N|'],
      ['update public.t - 1|new|\\N'],
      ['update public.t 2|\\u|\\u 9|tab\\there\\\\|x', 'delete public.t 3|\\u|\\u -'],
      ['truncate public.t - -'],
    ])
  })
})
