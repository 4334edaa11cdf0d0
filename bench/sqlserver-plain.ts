/**
 * What everybody would do by hand with the driver of SQL Server, for bench/sqlserver.ts to stand beside: every row of a table
 * read and counted, or read and put into another database by bulk load. Values are whatever the driver makes of them.
 *
 *     sqlserver-plain.ts SOURCE-URL [TARGET-URL]
 */
import { Connection, Request, TYPES } from 'tedious'
import { parseUrl } from '../src/source/sqlserver/url.ts'

const SELECT = 'SELECT id, stay_id, taken, code, reading, device FROM dbo.vital_sign'
const ROWS_AT_ONCE = 10_000

type Values = readonly unknown[]

const [sourceUrl, targetUrl] = process.argv.slice(2)
const source = await open(sourceUrl!)
const target = targetUrl === undefined ? null : await open(targetUrl)
let rows = 0
let waiting: Values[] = []
await new Promise<void>((resolve, reject) => {
  const request = new Request(SELECT, (error) => (error ? reject(error) : resolve()))
  request.on('row', (columns: readonly { readonly value: unknown }[]) => {
    rows += 1
    if (target === null) return
    waiting.push(columns.map(({ value }) => value))
    if (waiting.length < ROWS_AT_ONCE) return
    request.pause()
    load(target, waiting.splice(0)).then(() => request.resume(), reject)
  })
  source.execSqlBatch(request)
})
if (target !== null && waiting.length > 0) await load(target, waiting)
waiting = []
source.close()
target?.close()
process.stdout.write(`${rows}\n`)

async function open(url: string): Promise<Connection> {
  const { host, port, user = '', database = '', trustServerCertificate } = parseUrl(url)
  const connection = new Connection({
    server: host,
    authentication: { type: 'default', options: { userName: user, password: process.env.SQLCMDPASSWORD ?? '' } },
    options: { port, database, trustServerCertificate, encrypt: true, requestTimeout: 0 },
  })
  await new Promise<void>((resolve, reject) => connection.connect((error) => (error ? reject(error) : resolve())))
  return connection
}

async function load(connection: Connection, values: readonly Values[]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const bulk = connection.newBulkLoad('dbo.vital_sign', { keepNulls: true }, (error) =>
      error ? reject(error) : resolve(),
    )
    bulk.addColumn('id', TYPES.Int, { nullable: false })
    bulk.addColumn('stay_id', TYPES.Int, { nullable: false })
    bulk.addColumn('taken', TYPES.DateTime2, { nullable: false, scale: 3 })
    bulk.addColumn('code', TYPES.VarChar, { nullable: false, length: 10 })
    bulk.addColumn('reading', TYPES.Int, { nullable: true })
    bulk.addColumn('device', TYPES.UniqueIdentifier, { nullable: true })
    connection.execBulkLoad(
      bulk,
      values.map((row) => [...row]),
    )
  })
}
