/**
 * PostgreSQL's errors quote rows in DETAIL, CONTEXT and often in the message (F42). A value is planted in rows, every
 * kind of error is provoked with it, and the value is then looked for in everything that a Failure could print.
 */
import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { startPostgres } from '../../../scripts/support/postgres-server.ts'
import { type Failure, toFailureRecord } from '../../../src/errors.ts'
import { loadTable, openSource, openTarget } from '../../../src/source/open.ts'
import {
  connectClient,
  describeOnServers,
  failureOf,
  linesOf,
  oldestAndNewest,
  readAll,
  runSql,
  ticketOf,
} from './support.ts'

const PLANTED = 'MRN-7781-张三'

describeOnServers('No row value is in a failure (F42)', oldestAndNewest, (server) => {
  const SCHEMA = `
    CREATE TABLE patient (id integer, mrn text, age integer); INSERT INTO patient VALUES (1, '${PLANTED}', 5), (1, '${PLANTED}', 5);
    CREATE TABLE parent (mrn text PRIMARY KEY);
    CREATE FUNCTION tell(m text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
      $$ BEGIN RAISE EXCEPTION 'told %', m USING ERRCODE = '42501', DETAIL = m, HINT = m, TABLE = m, COLUMN = m; END $$;
    CREATE FUNCTION cast_it(m text) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT m::integer'`

  const BROKEN_STEPS: Readonly<Record<string, string>> = {
    'unique index': 'CREATE UNIQUE INDEX ON public.patient (mrn)',
    'primary key': 'ALTER TABLE public.patient ADD PRIMARY KEY (id, mrn)',
    'exclusion constraint': 'ALTER TABLE public.patient ADD EXCLUDE (mrn WITH =)',
    'foreign key': 'ALTER TABLE public.patient ADD FOREIGN KEY (mrn) REFERENCES public.parent',
    check: `ALTER TABLE public.patient ADD CHECK (mrn <> '${PLANTED}')`,
    'not null': 'ALTER TABLE public.patient ADD COLUMN gone text NOT NULL',
    'a cast in an index': 'CREATE INDEX ON public.patient (public.cast_it(mrn))',
    'a type change': 'ALTER TABLE public.patient ALTER COLUMN mrn TYPE integer USING mrn::integer',
    'a function that raises what it likes': 'CREATE INDEX ON public.patient (public.tell(mrn))',
    'a statement that quotes it': `CREATE TABLE public.x (a text DEFAULT '${PLANTED}' '${PLANTED}' 5)`,
    'a comment on nothing': `COMMENT ON TABLE public.nothing IS '${PLANTED}'`,
  }

  it.each(Object.entries(BROKEN_STEPS))('when a step fails by %s', async (object, sql) => {
    const url = await planted()
    await using target = await openTarget({ url })
    const failure = await failureOf(() => target.runSteps([{ phase: 'after', object, sql }]))
    expect(failure.message).toContain(object)
    expectNothingPlanted(failure)
  })

  const BROKEN_LINES: Readonly<Record<string, string>> = {
    'a text where a number is due': `${PLANTED}\t1\tx`,
    'too many fields': `1\t${PLANTED}\t3\t4`,
    'too few fields': PLANTED,
    'a check that fails': `1\t${PLANTED}\t-1`,
    'a value that is too long': `1\t${PLANTED.repeat(20)}\t1`,
    'bytes of no encoding': `1\t${PLANTED}\u00ff\t1`,
    'a key twice': `7\t${PLANTED}\t1\n7\t${PLANTED}\t1`,
    'a generated column that raises': `1\t${PLANTED}\t42`,
  }

  it.each(Object.entries(BROKEN_LINES))('when loading meets %s', async (kind, line) => {
    const url = await planted()
    await runSql(
      url,
      `CREATE TABLE t (id integer PRIMARY KEY, mrn varchar(60), age integer CHECK (age >= 0),
         g text GENERATED ALWAYS AS (CASE WHEN age = 42 THEN public.tell(mrn) END) STORED)`,
    )
    const bytes = Buffer.from(`${line}\n`, kind === 'bytes of no encoding' ? 'latin1' : 'utf8')
    const lines = async function* () {
      yield bytes
    }
    const table = { sqlName: '"public"."t"', columns: ['id', 'mrn', 'age'], encoding: 'UTF8' }
    const failure = await failureOf(() => loadTable({ url }, table, lines(), new AbortController().signal))
    expect(failure.message).toContain('"public"."t"')
    expectNothingPlanted(failure)
  })

  it('when reading or looking at rows fails', async () => {
    const url = await planted()
    await using source = await openSource({ url })
    const failures = [
      await failureOf(() =>
        source.profile.looksUnique(
          { sqlName: '(SELECT public.tell(mrn) AS m FROM public.patient) x', column: 'm' },
          10,
        ),
      ),
    ]
    await using client = await connectClient(url)
    await using read = await readAll(url)
    const ticket = ticketOf(read, 'public.patient')
    failures.push(await failureOf(() => linesOf({ ...read.ticket, snapshot: PLANTED }, ticket)))
    failures.push(await failureOf(() => linesOf(read.ticket, { ...ticket, columns: ['id', 'absent'] })))
    await client.query('SELECT 1')
    for (const failure of failures) expectNothingPlanted(failure)
  })

  async function planted(): Promise<string> {
    const url = await server().createDatabase(`planted_${Math.random().toString(36).slice(2)}`)
    await runSql(url, SCHEMA)
    return url
  }
})

it('a server that is not there, a database that is not, and a password that is wrong are told apart', async () => {
  await using server = await startPostgres({ version: Math.max(...oldestAndNewest), requirePasswords: true })
  await runSql(server.url(), `CREATE ROLE reader LOGIN PASSWORD 'right'`)
  const asReader = server.url().replace('postgres@', 'reader@')
  const unreachable = await failureOf(() => openSource({ url: 'postgres://reader@127.0.0.1:1/icu' }))
  expect([unreachable.code, unreachable.isTransient]).toEqual(['source-unreachable', true])
  const missing = await failureOf(() => openSource({ url: server.url('nowhere') }))
  expect([missing.code, missing.message.includes('nowhere')]).toEqual(['source-not-found', true])
  for (const password of ['wrong-7781', undefined]) {
    const failure = await failureOf(() =>
      openSource({ url: asReader, ...(password === undefined ? {} : { password }) }),
    )
    expect(failure.code).toBe('source-login-refused')
    expect(inspect(failure)).not.toContain('7781')
  }
  await using source = await openSource({ url: asReader, password: 'right' })
  expect((await source.identify()).engine).toBe('postgresql')
  const insisting = await failureOf(() => openSource({ url: `${asReader}?sslmode=require`, password: 'right' }))
  expect(insisting.code).toBe('source-unreachable')
})

function expectNothingPlanted(failure: Failure): void {
  const printed = [
    inspect(failure, { depth: 10, showHidden: true }),
    failure.stack ?? '',
    JSON.stringify(toFailureRecord(failure)),
    String(failure.cause),
  ].join('\n')
  for (const part of [PLANTED, '7781', '张三']) expect(printed).not.toContain(part)
}
