/** A ward on SQL Server that accidents befall, and the oracle's own look at every row of it, in plain T-SQL. */
import type { Random } from '../../../scripts/reference/random.ts'
import type { ConnectionSettings } from '../../../src/source/contract.ts'
import { connect } from '../../../src/source/sqlserver/connect.ts'
import type { Seen, SeenRow } from '../../restore/patient/accidents/rows.ts'
import { rowId } from '../../restore/patient/accidents/rows.ts'
import type { AccidentTable } from '../../restore/patient/accidents/world.ts'
import { run } from './server.ts'

const PATIENTS = 6
const STAYS = 12
const VITALS_OF_A_STAY = 6

const TABLES_SQL = `
CREATE SCHEMA ward
GO
CREATE TABLE ward.patient (patient_id int NOT NULL CONSTRAINT patient_pkey PRIMARY KEY,
  mrn varchar(20) NOT NULL CONSTRAINT patient_mrn UNIQUE, name nvarchar(40) NULL)
GO
CREATE TABLE ward.icu_stay (stay_id int NOT NULL CONSTRAINT stay_pkey PRIMARY KEY,
  patient_id int NOT NULL CONSTRAINT stay_patient REFERENCES ward.patient (patient_id), bed nvarchar(10) NULL)
GO
CREATE TABLE ward.vital_sign (stay_id int NOT NULL CONSTRAINT vital_stay REFERENCES ward.icu_stay (stay_id),
  taken datetime2(3) NOT NULL, code varchar(10) NOT NULL, reading decimal(18,4) NULL, device uniqueidentifier NULL,
  CONSTRAINT vital_pkey PRIMARY KEY (stay_id, taken, code), CONSTRAINT vital_range CHECK (reading < 1000))
GO
CREATE TABLE ward.note (note_id int IDENTITY(1,1) NOT NULL CONSTRAINT note_pkey PRIMARY KEY,
  stay_id int NOT NULL CONSTRAINT note_stay REFERENCES ward.icu_stay (stay_id),
  follows int NULL CONSTRAINT note_follows REFERENCES ward.note (note_id), body nvarchar(max) NULL, scan varbinary(max) NULL)
GO
CREATE TABLE ward.line (stay_id int NOT NULL, words nvarchar(40) NULL)`

/** Every row as at first; numbers of notes, too. */
const ROWS_SQL = `
DELETE FROM ward.line
GO
UPDATE ward.note SET follows = NULL
GO
DELETE FROM ward.note
GO
DELETE FROM ward.vital_sign
GO
DELETE FROM ward.icu_stay
GO
DELETE FROM ward.patient
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${PATIENTS})
INSERT INTO ward.patient SELECT i, 'MRN' + CONVERT(varchar(10), i), N'患者 ' + CONVERT(nvarchar(10), i) FROM n
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${STAYS})
INSERT INTO ward.icu_stay SELECT 100 + i, (i - 1) % ${PATIENTS} + 1, N'床 ' + CONVERT(nvarchar(10), i) FROM n
GO
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${VITALS_OF_A_STAY})
INSERT INTO ward.vital_sign SELECT s.stay_id, DATEADD(minute, n.i, CONVERT(datetime2(3), '2026-03-01T08:00:00.123')), 'HR',
  60 + n.i / 7.0, CONVERT(uniqueidentifier, '6f9619ff-8b86-d011-b42d-00c04fc964ff') FROM ward.icu_stay s CROSS JOIN n
GO
SET IDENTITY_INSERT ward.note ON;
INSERT INTO ward.note (note_id, stay_id, follows, body, scan)
  SELECT stay_id - 100, stay_id, NULL, N'记录' + NCHAR(9) + N'a\\b' + NCHAR(10), 0x00FF FROM ward.icu_stay;
INSERT INTO ward.note (note_id, stay_id, follows, body, scan)
  SELECT stay_id, stay_id, stay_id - 100, N'', 0x FROM ward.icu_stay;
SET IDENTITY_INSERT ward.note OFF
GO
INSERT INTO ward.line SELECT stay_id, N'same' FROM ward.icu_stay
GO
INSERT INTO ward.line SELECT stay_id, N'same' FROM ward.icu_stay`

/** What the second moment has, and the first one has not. */
const LATER_SQL = `
UPDATE ward.vital_sign SET reading = reading + 1 WHERE stay_id % 3 = 0
GO
DELETE FROM ward.vital_sign WHERE stay_id = 102 AND DATEPART(minute, taken) % 2 = 0
GO
UPDATE ward.note SET body = N'later ' + body WHERE note_id < 100
GO
UPDATE ward.patient SET name = NULL WHERE patient_id = 2`

export const LAYOUT = {
  patient: { table: 'ward.patient', key: 'patient_id', label: ['mrn'] },
  anchors: {
    'ward.icu_stay': 'patient_id',
    'ward.vital_sign': 'stay_id',
    'ward.note': 'stay_id',
    'ward.line': 'stay_id',
  },
}

const OF_STAY = '(SELECT s.patient_id FROM ward.icu_stay s WHERE s.stay_id = t.stay_id)'

interface WardTable extends AccidentTable {
  /** As `name`, how it is written as text, and how text becomes it again. */
  readonly columns: readonly (readonly [string, (value: string) => string, (literal: string) => string])[]
  readonly hasIdentity?: boolean
}

const plain = (name: string, type: string) =>
  [name, (value: string) => `CONVERT(nvarchar(max), ${value})`, (text: string) => `CONVERT(${type}, ${text})`] as const

const TABLES: readonly WardTable[] = [
  {
    name: 'ward.patient',
    key: ['patient_id'],
    owner: 't.patient_id',
    columns: [plain('patient_id', 'int'), plain('mrn', 'varchar(20)'), plain('name', 'nvarchar(40)')],
  },
  {
    name: 'ward.icu_stay',
    key: ['stay_id'],
    owner: 't.patient_id',
    columns: [plain('stay_id', 'int'), plain('patient_id', 'int'), plain('bed', 'nvarchar(10)')],
  },
  {
    name: 'ward.vital_sign',
    key: ['stay_id', 'taken', 'code'],
    owner: OF_STAY,
    columns: [
      plain('stay_id', 'int'),
      ['taken', (value) => `CONVERT(varchar(30), ${value}, 121)`, (text) => `CONVERT(datetime2(3), ${text}, 121)`],
      plain('code', 'varchar(10)'),
      plain('reading', 'decimal(18,4)'),
      plain('device', 'uniqueidentifier'),
    ],
  },
  {
    name: 'ward.note',
    key: ['note_id'],
    owner: OF_STAY,
    hasIdentity: true,
    columns: [
      plain('note_id', 'int'),
      plain('stay_id', 'int'),
      plain('follows', 'int'),
      plain('body', 'nvarchar(max)'),
      ['scan', (value) => value, (text) => text.slice("N'".length, -"'".length)],
    ],
  },
  { name: 'ward.line', key: [], owner: OF_STAY, columns: [plain('stay_id', 'int'), plain('words', 'nvarchar(40)')] },
]

export async function makeWard(settings: ConnectionSettings): Promise<void> {
  await run(settings, TABLES_SQL)
  await run(settings, ROWS_SQL)
}

/** Everything as it is at the last moment. */
export async function putBack(settings: ConnectionSettings): Promise<void> {
  await run(settings, `${ROWS_SQL}\nGO\n${LATER_SQL}`)
}

export async function goOn(settings: ConnectionSettings): Promise<void> {
  await run(settings, LATER_SQL)
}

export async function see(settings: ConnectionSettings): Promise<Seen> {
  const seen = new Map<string, SeenRow>()
  await using session = await connect(settings, 'target')
  for (const table of TABLES) {
    const columns = table.columns.map(([name, asText]) => `${asText(`t.${name}`)} AS ${name}`)
    const rows = await session.query(
      `SELECT ${columns.join(', ')}, CONVERT(varchar(20), ${table.owner}) AS owner FROM ${table.name} t`,
    )
    const equals = new Map<string, number>()
    for (const { owner, ...fields } of rows) {
      const line = JSON.stringify(fields)
      const same = equals.get(line) ?? 0
      if (table.key.length === 0) equals.set(line, same + 1)
      const key = table.key.length === 0 ? [line, String(same)] : table.key.map((name) => String(fields[name]))
      seen.set(rowId(table, key), { table, key, owner: owner ?? null, line, compared: line })
    }
  }
  return seen
}

/** Whether the server takes the row as it was; nothing of it stays. */
export async function couldBeWritten(settings: ConnectionSettings, row: SeenRow, isThere: boolean): Promise<boolean> {
  const { name, columns, hasIdentity } = row.table as WardTable
  const literals = literalsOf(row)
  const list = columns.map(([column]) => column).join(', ')
  const insert = `INSERT INTO ${name} (${list}) VALUES (${columns.map(([column]) => literals.get(column)).join(', ')})`
  const set = columns.flatMap(([column]) =>
    row.table.key.includes(column) ? [] : `${column} = ${literals.get(column)}`,
  )
  const update = `UPDATE ${name} SET ${set.join(', ')} WHERE ${whereOf(row, literals)}`
  const numbered = hasIdentity ? `SET IDENTITY_INSERT ${name} ON; ${insert}; SET IDENTITY_INSERT ${name} OFF` : insert
  return await wouldBeTaken(settings, isThere ? update : numbered)
}

/** Whether the server lets the row go; nothing of it stays. */
export async function couldBeTakenOut(settings: ConnectionSettings, row: SeenRow): Promise<boolean> {
  return await wouldBeTaken(settings, `DELETE FROM ${row.table.name} WHERE ${whereOf(row, literalsOf(row))}`)
}

function literalsOf({ table, line }: SeenRow): ReadonlyMap<string, string> {
  const fields: Record<string, string | null> = JSON.parse(line)
  return new Map(
    (table as WardTable).columns.map(([column, , fromText]) => {
      const text = fields[column]
      return [column, text == null ? 'NULL' : fromText(`N'${text.replaceAll("'", "''")}'`)]
    }),
  )
}

function whereOf({ table }: SeenRow, literals: ReadonlyMap<string, string>): string {
  return table.key.map((column) => `${column} = ${literals.get(column)}`).join(' AND ')
}

async function wouldBeTaken(settings: ConnectionSettings, statement: string): Promise<boolean> {
  return await run(settings, `BEGIN TRANSACTION\nGO\n${statement}\nGO\nROLLBACK`).then(
    () => true,
    () => false,
  )
}

const OF_PATIENT = 'stay_id IN (SELECT stay_id FROM ward.icu_stay WHERE patient_id = $p)'

/** `$p` is the patient, `$o` somebody else, `$n` a small number. */
const ACCIDENTS: readonly (readonly [string, string])[] = [
  ['notes deleted', `DELETE FROM ward.note WHERE ${OF_PATIENT} AND note_id > 100`],
  [
    'all notes deleted',
    `DELETE FROM ward.note WHERE ${OF_PATIENT} AND note_id > 100\nGO\nDELETE FROM ward.note WHERE ${OF_PATIENT}`,
  ],
  [
    'some vital signs deleted',
    `DELETE FROM ward.vital_sign WHERE ${OF_PATIENT} AND DATEPART(minute, taken) % 3 = $n % 3`,
  ],
  ['readings overwritten', `UPDATE ward.vital_sign SET reading = reading - $n WHERE ${OF_PATIENT}`],
  ['a device lost', `UPDATE ward.vital_sign SET device = NULL WHERE ${OF_PATIENT}`],
  ['notes overwritten', `UPDATE ward.note SET body = N'x'' $n', scan = NULL WHERE ${OF_PATIENT}`],
  ['the patient renamed', `UPDATE ward.patient SET name = N'nobody $n', mrn = 'X$n-$p' WHERE patient_id = $p`],
  [
    'notes written since',
    `INSERT INTO ward.note (stay_id, body) SELECT stay_id, N'since $n' FROM ward.icu_stay WHERE patient_id = $p`,
  ],
  ['a stay given to somebody else', 'UPDATE ward.icu_stay SET patient_id = $o WHERE stay_id = 100 + $p'],
  ['lines written since', `INSERT INTO ward.line SELECT stay_id, N'since' FROM ward.icu_stay WHERE patient_id = $p`],
  ['a line deleted', `DELETE FROM ward.line WHERE stay_id = 100 + $p`],
  [
    'the patient deleted',
    [
      `DELETE FROM ward.line WHERE ${OF_PATIENT}`,
      `DELETE FROM ward.note WHERE ${OF_PATIENT} AND note_id > 100`,
      `DELETE FROM ward.note WHERE ${OF_PATIENT}`,
      `DELETE FROM ward.vital_sign WHERE ${OF_PATIENT}`,
      'DELETE FROM ward.icu_stay WHERE patient_id = $p',
      'DELETE FROM ward.patient WHERE patient_id = $p',
    ].join('\nGO\n'),
  ],
  [
    "the patient's number given to somebody else",
    "UPDATE ward.patient SET mrn = 'Y$p' WHERE patient_id = $p\nGO\nUPDATE ward.patient SET mrn = 'MRN$p' WHERE patient_id = $o",
  ],
  ['a place in the series taken', `UPDATE ward.vital_sign SET code = 'RR' WHERE ${OF_PATIENT}`],
  ["somebody else's readings changed", 'UPDATE ward.vital_sign SET reading = 1 WHERE stay_id = 100 + $o'],
  ["somebody else's note deleted", 'DELETE FROM ward.note WHERE note_id = 100 + $o'],
]

/** @returns what happened; what the server refuses did not */
export async function befall(
  settings: ConnectionSettings,
  random: Random,
  who: { patient: string; others: readonly string[] },
) {
  const story: string[] = []
  for (let count = random.within(1, 3); count > 0; count -= 1) {
    const [name, sql] = random.pick(ACCIDENTS)
    const other = random.pick(who.others)
    const n = String(random.within(1, 9))
    const happens = sql.replaceAll('$p', who.patient).replaceAll('$o', other).replaceAll('$n', n)
    const happened = await run(settings, happens).then(
      () => '',
      () => ' (refused)',
    )
    story.push(`${name}${happened}`)
  }
  return story
}
