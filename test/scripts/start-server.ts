/**
 * Starts a server, prints where it is as one line of JSON, and waits to be killed; with FORGET it ends at once and
 * forgets to stop the server. SETTING is a setting to start
 * it with. BECOME is the user id to become first: everything is imported by then, so that only the
 * starting itself depends on that user's rights.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startPostgres } from '../../scripts/support/postgres-server.ts'

const { BECOME, FORGET, SETTING } = process.env
if (BECOME) {
  process.setgroups!([Number(BECOME)])
  process.setgid!(Number(BECOME))
  process.setuid!(Number(BECOME))
}
const server = await startPostgres(SETTING ? { settings: { [SETTING]: '1' } } : {})
await server.createDatabase('made')
const pid = Number(readFileSync(join(server.dataDirectory, 'postmaster.pid'), 'utf8').split('\n')[0])
process.stdout.write(`${JSON.stringify({ url: server.url('made'), dataDirectory: server.dataDirectory, pid })}\n`)
if (!FORGET) process.stdin.resume()
