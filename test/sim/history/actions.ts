/** What transactions of a history do: each action is a few statements, made from dice. Some of them fail; so do wards'. */
import pg from 'pg'
import type { Dice } from './dice.ts'
import { PATIENTS, STAYS, YEARS } from './world.ts'

type Action = (dice: Dice) => readonly string[]

const NASTY = [
  '',
  '\\N',
  '\\.',
  'a\tb',
  'line\nbreak',
  '\\',
  '\r',
  'ä',
  '白细胞 ↑',
  "O'Hara",
  '"quoted"',
  '(,)',
  ' x ',
  '\u0001',
]

export function drawAction(dice: Dice): readonly string[] {
  return dice.weighted(ACTIONS)(dice)
}

function text(dice: Dice): string {
  const value = dice.chance(0.3) ? dice.pick(NASTY) : 'v'.repeat(dice.below(20)) + dice.below(1000)
  return dice.chance(0.1) ? 'NULL' : pg.escapeLiteral(value)
}

const stay = (dice: Dice): number => 100 + dice.between(1, STAYS)
const patient = (dice: Dice): number => dice.between(1, PATIENTS)

/** Beyond what fits into a page, so that it is stored aside and not sent again when it stays as it is (F13). */
function large(dice: Dice): string {
  const repeats = dice.between(150, 1500)
  return `(SELECT string_agg(md5((n + ${dice.below(1_000_000)})::text), '') FROM generate_series(1, ${repeats}) n)`
}

const patients: Action = (dice) => {
  const id = patient(dice)
  const insert = `INSERT INTO patient OVERRIDING SYSTEM VALUE VALUES (${id}, 'M${id}', ${text(dice)}) ON CONFLICT DO NOTHING`
  return dice.weighted<readonly string[]>([
    [6, [insert]],
    [3, [`UPDATE patient SET name = ${text(dice)} WHERE patient_id = ${id}`]],
    [1, [`DELETE FROM patient WHERE patient_id = ${id}`]],
    [1, [`INSERT INTO patient (mrn, name) VALUES ('by number', ${text(dice)})`]],
  ])
}

/** Moves whole families of rows: to another patient, to another number, away. */
const stays: Action = (dice) => {
  const [id, other] = [stay(dice), stay(dice)]
  const insert = `INSERT INTO stay VALUES (${id}, ${patient(dice)}, ${text(dice)}) ON CONFLICT DO NOTHING`
  return dice.weighted<readonly string[]>([
    [5, [insert]],
    [2, [`UPDATE stay SET patient_id = ${patient(dice)} WHERE stay_id = ${id}`]],
    [1, [`UPDATE stay SET stay_id = ${other} WHERE stay_id = ${id}`]],
    [1, [`DELETE FROM stay WHERE stay_id = ${id}`]],
  ])
}

const vitals: Action = (dice) => {
  const id = dice.between(1, 120)
  const many = dice.between(2, 30)
  const value = `(${dice.below(2000)} / 10.0)::numeric(6, ${dice.below(3)})`
  const at = `timestamptz '2026-01-01' + ${dice.below(100_000)} * interval '1.001 s'`
  const row = (n: string): string => `${n}, ${stay(dice)}, ${at}, ${value}, ${text(dice)}`
  return dice.weighted<readonly string[]>([
    [4, [`INSERT INTO vital VALUES (${row(String(id))}) ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value`]],
    [2, [`INSERT INTO vital SELECT ${row('n')} FROM generate_series(${id}, ${id + many}) n ON CONFLICT DO NOTHING`]],
    [3, [`UPDATE vital SET value = ${value} WHERE id BETWEEN ${id} AND ${id + many}`]],
    [2, [`UPDATE vital SET stay_id = ${stay(dice)} WHERE id = ${id}`]],
    [1, [`UPDATE vital SET id = id + 1000, stay_id = ${stay(dice)} WHERE id = ${id}`]],
    [1, [`UPDATE vital SET id = id - 1000 WHERE id = ${1000 + id}`]],
    [2, [`DELETE FROM vital WHERE id BETWEEN ${id} AND ${id + dice.below(6)}`]],
  ])
}

const diagnoses: Action = (dice) => {
  const [id, line] = [stay(dice), dice.between(1, 5)]
  return dice.weighted<readonly string[]>([
    [3, [`INSERT INTO dx VALUES (${id}, ${line}, ${text(dice)}) ON CONFLICT DO NOTHING`]],
    [2, [`UPDATE dx SET code = ${text(dice)} WHERE stay_id = ${id}`]],
    [1, [`UPDATE dx SET stay_id = ${stay(dice)} WHERE stay_id = ${id} AND line = ${line}`]],
    [1, [`DELETE FROM dx WHERE stay_id = ${id} AND line = ${line}`]],
  ])
}

const drugs: Action = (dice) => {
  const code = (): string => `'D${dice.between(1, 12)}'`
  return dice.weighted<readonly string[]>([
    [3, [`INSERT INTO drug VALUES (${code()}, ${text(dice)}) ON CONFLICT DO NOTHING`]],
    [2, [`UPDATE drug SET parent = ${code()} WHERE code = ${code()}`]],
    [1, [`UPDATE drug SET code = ${code()} WHERE code = ${code()}`]],
    [1, [`DELETE FROM drug WHERE code = ${code()}`]],
  ])
}

/** 1 becomes 2 and 2 becomes 1; or 1 becomes 2 after 2 has gone (F21). */
const swaps: Action = (dice) => {
  const [a, b] = [dice.between(1, 8), dice.between(1, 8)]
  return dice.pick<readonly string[]>([
    [`INSERT INTO swap VALUES (${a}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [
      `UPDATE swap SET id = -${a} WHERE id = ${a}`,
      `UPDATE swap SET id = ${a} WHERE id = ${b}`,
      `UPDATE swap SET id = ${b} WHERE id = -${a}`,
    ],
    [`DELETE FROM swap WHERE id = ${b}`, `UPDATE swap SET id = ${b} WHERE id = ${a}`],
    [`DELETE FROM swap WHERE id = ${a}`, `INSERT INTO swap VALUES (${a}, ${text(dice)})`],
    [`UPDATE swap SET id = id + 100 WHERE id < 5`, `UPDATE swap SET id = id - 100 WHERE id > 100`],
  ])
}

/** The same value by other digits is another text (P16). */
const numericKeys: Action = (dice) => {
  const k = dice.pick(['1', '1.0', '1.00', '-0.5', '10', '1e1', '0', '0.000', '123456789012345678901234567890.1'])
  const other = dice.pick(['1.000', '10.0', '-0.50', '7', "'NaN'", '2'])
  return dice.pick<readonly string[]>([
    [`INSERT INTO numeric_key VALUES (${k}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`UPDATE numeric_key SET k = ${other} WHERE k = ${k}`],
    [`DELETE FROM numeric_key WHERE k = ${dice.chance(0.5) ? k : other}`],
  ])
}

const multi: Action = (dice) => {
  const [a, b] = [text(dice), `'2026-01-0${dice.between(1, 4)}'`]
  return dice.pick<readonly string[]>([
    [`INSERT INTO multi VALUES (${a}, ${dice.below(9)}, ${b}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`UPDATE multi SET a = ${a}, n = n + 1 WHERE b = ${b} AND n = ${dice.below(9)}`],
    [`DELETE FROM multi WHERE b = ${b} AND n = ${dice.below(9)}`],
  ])
}

const kinds: Action = (dice) => {
  const id = dice.between(1, 20)
  const values = [
    dice.pick(['true', 'false', 'NULL']),
    dice.pick(['0.1::float8 + 0.2', "'-0'", "'NaN'", "'Infinity'", '1e300', '5e-324']),
    dice.pick(['1.50', '1.5', "'NaN'", '0.00000000000000000001', '12345678901234567890123456789012345678.9']),
    dice.pick(["'\\x00ff'::bytea", "''", 'NULL', "decode('5c6e', 'hex')"]),
    dice.pick(["'infinity'", "'0044-03-15 BC'", "'2026-10-25 02:30:00.000001+02'", 'now()', "'9999-12-31'"]),
    dice.pick(["'1 mon -3 days 00:00:00.000001'", "'-1 year'", "'PT36H'"]),
    dice.pick([`'{"a": 1.50, "b": [null, "\\\\n"]}'`, "'null'", 'NULL', "'[]'"]),
    dice.pick([`'{a,NULL,"b c","\\\\\\\\"}'`, "'{}'", "'{{a,b},{c,d}}'", 'NULL']),
    dice.pick(["'calm'", "'asleep'", 'NULL']),
    dice.pick(["ROW(1, 'x,y')", 'ROW(NULL, NULL)', "ROW(2, '')", 'NULL']),
    dice.pick(["'ab'", "'ab    '", "''", "'中文'"]),
  ]
  return dice.weighted<readonly string[]>([
    [3, [`INSERT INTO kinds VALUES (${id}, ${values.join(', ')}) ON CONFLICT DO NOTHING`]],
    [2, [`UPDATE kinds SET (flag, f, n) = (${values.slice(0, 3).join(', ')}) WHERE id = ${id}`]],
    [1, [`DELETE FROM kinds WHERE id = ${id}`]],
  ])
}

const largeValues: Action = (dice) => {
  const id = dice.between(1, 10)
  const table = dice.pick(['toasty', 'full_log'])
  const [columns, big, small] =
    table === 'toasty'
      ? ['id, stay_id, kind, body', 'body', 'kind = kind + 1']
      : ['id, stay_id, body, big', 'big', `body = ${text(dice)}`]
  const third = table === 'toasty' ? '1' : text(dice)
  return dice.weighted<readonly string[]>([
    [
      3,
      [
        `INSERT INTO ${table} (${columns}) VALUES (${id}, ${stay(dice)}, ${third}, ${large(dice)}) ON CONFLICT DO NOTHING`,
      ],
    ],
    [3, [`UPDATE ${table} SET ${small} WHERE id BETWEEN ${id} AND ${id + 2}`]],
    [1, [`UPDATE ${table} SET ${big} = ${dice.chance(0.3) ? 'NULL' : large(dice)} WHERE id = ${id}`]],
    [2, [`UPDATE ${table} SET stay_id = ${stay(dice)} WHERE id = ${id}`]],
    [2, [`UPDATE ${table} SET id = id + 50 WHERE id = ${id}`, `UPDATE ${table} SET id = ${id} WHERE id = ${id + 50}`]],
    [
      1,
      [
        `UPDATE toasty SET other = ${large(dice)}::bytea WHERE id = ${id}`,
        `UPDATE toasty SET kind = 0 WHERE id = ${id}`,
      ],
    ],
    [1, [`DELETE FROM ${table} WHERE id = ${id}`]],
  ])
}

/** Rows that move between partitions arrive as a delete and an insert. */
const notes: Action = (dice) => {
  const id = dice.between(1, 40)
  const [year, other] = [dice.pick(YEARS), dice.pick(YEARS)]
  return dice.weighted<readonly string[]>([
    [4, [`INSERT INTO note VALUES (${id}, ${stay(dice)}, ${year}, ${text(dice)}) ON CONFLICT DO NOTHING`]],
    [2, [`UPDATE note SET year = ${other} WHERE note_id = ${id} AND year = ${year}`]],
    [1, [`UPDATE note SET stay_id = ${stay(dice)} WHERE note_id = ${id}`]],
    [1, [`DELETE FROM note WHERE note_id = ${id}`]],
    [1, [`DELETE FROM note_${year} WHERE note_id > ${id}`]],
  ])
}

/** Numbers are drawn outside of transactions, jump, and are taken by rows written by hand (F24). */
const tickets: Action = (dice) => {
  const id = dice.between(1, 300)
  return dice.weighted<readonly string[]>([
    [4, [`INSERT INTO ticket (v) SELECT ${text(dice)} FROM generate_series(1, ${dice.between(1, 12)})`]],
    [1, [`INSERT INTO ticket (ticket_id, v) VALUES (${id}, ${text(dice)}) ON CONFLICT DO NOTHING`]],
    [1, [`UPDATE ticket SET serial_no = DEFAULT WHERE ticket_id <= ${id} AND ticket_id % 7 = ${dice.below(7)}`]],
    [2, [`DELETE FROM ticket WHERE ticket_id % 5 = ${dice.below(5)}`]],
    [0.5, [`SELECT setval('ticket_ticket_id_seq', ${id})`]],
  ])
}

/** Tables that are read in full at each snapshot. */
const untold: Action = (dice) => {
  const id = dice.between(1, 15)
  return dice.pick<readonly string[]>([
    [`INSERT INTO bag VALUES (${stay(dice)}, ${text(dice)}), (101, 'same'), (101, 'same')`],
    [`DELETE FROM bag WHERE stay_id = ${stay(dice)}`],
    [`UPDATE bag SET message = ${text(dice)} WHERE stay_id = ${stay(dice)}`],
    [
      `INSERT INTO silent VALUES (${id}, ${text(dice)}) ON CONFLICT DO NOTHING`,
      `UPDATE silent SET v = 'x' WHERE id = ${id}`,
    ],
    [`DELETE FROM late WHERE id = ${id}`, `INSERT INTO late VALUES (${id}, ${text(dice)})`],
    [`UPDATE late SET id = id + 1`],
    [`INSERT INTO by_index VALUES (${id}, 'c${dice.below(20)}', ${stay(dice)}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`UPDATE by_index SET id = id + 40, code = code || 'x' WHERE id = ${id}`],
    [`DELETE FROM by_index WHERE id > ${id}`],
  ])
}

const others: Action = (dice) => {
  const id = dice.between(1, 15)
  return dice.pick<readonly string[]>([
    [`INSERT INTO event VALUES (${id}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`INSERT INTO event_child VALUES (${id}, ${text(dice)}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`UPDATE event SET v = ${text(dice)} WHERE id = ${id}`],
    [`DELETE FROM event WHERE id = ${id}`],
    [`INSERT INTO computed (id, a, v) VALUES (${id}, ${dice.below(9)}, ${text(dice)}) ON CONFLICT DO NOTHING`],
    [`UPDATE computed SET a = a + 1 WHERE id < ${id}`],
    [`DELETE FROM computed WHERE id = ${id}`],
    [`INSERT INTO "Odd Name" VALUES (${id}, ${text(dice)}) ON CONFLICT ("Id") DO UPDATE SET "a b" = ${text(dice)}`],
    [`DELETE FROM "Odd Name" WHERE "Id" = ${id}`],
  ])
}

/** No row of it is told one by one (F22). */
const truncate: Action = (dice) => {
  const table = dice.pick([
    'swap',
    'dx',
    'toasty',
    'note',
    `note_${dice.pick(YEARS)}`,
    'vital, swap',
    'kinds',
    'bag',
    'event',
    'ticket',
  ])
  const statement = dice.chance(0.1) ? 'TRUNCATE stay CASCADE' : `TRUNCATE ${table}`
  return dice.chance(0.5) ? [statement] : [...swaps(dice), statement, ...vitals(dice), ...swaps(dice)]
}

/** More than the server keeps in memory before it streams (P14). */
const bulk: Action = (dice) => {
  const rows = dice.between(300, 1500)
  return dice.pick<readonly string[]>([
    [
      `INSERT INTO multi SELECT 'bulk' || n, n, '2026-02-01', repeat('b', 60) FROM generate_series(1, ${rows}) n
         ON CONFLICT DO NOTHING`,
    ],
    [`UPDATE multi SET n = n + 1, v = repeat('c', ${dice.below(80)}) WHERE b = '2026-02-01'`],
    [`DELETE FROM multi WHERE b = '2026-02-01' AND n % 2 = ${dice.below(2)}`],
    [`DELETE FROM multi WHERE b = '2026-02-01'`],
  ])
}

/** What the application loads: lines as COPY takes them, all of them or none (F11). */
const loads: Action = (dice) => {
  const first = 5000 + dice.below(3000)
  const ids = Array.from({ length: dice.between(1, 60) }, (_, index) => first + index)
  const text = () => dice.pick(['\\N', '', 'a\\tb', '\\\\N', '\\\\.', 'ä 白', '\\r\\n', 'x'.repeat(dice.below(300))])
  const [into, line] = dice.pick<readonly [string, (id: number) => string]>([
    ['swap (id, v)', (id) => `${id}\t${text()}`],
    ['multi (a, n, b, v)', (id) => `copy ${id}\t${id}\t2026-03-01\t${text()}`],
    ['bag (stay_id, message)', () => `${stay(dice)}\t${text()}`],
    ['note (note_id, year, body)', (id) => `${id}\t${dice.pick(YEARS)}\t${text()}`],
    ['full_log (id, body)', (id) => `${id}\t${text()}`],
  ])
  return [[`COPY ${into} FROM STDIN`, ...ids.map(line)].join('\n')]
}

const ACTIONS: readonly (readonly [weight: number, action: Action])[] = [
  [4, patients],
  [6, stays],
  [10, vitals],
  [5, diagnoses],
  [4, drugs],
  [6, swaps],
  [3, tickets],
  [3, numericKeys],
  [3, multi],
  [4, kinds],
  [6, largeValues],
  [6, notes],
  [5, untold],
  [6, others],
  [2, truncate],
  [1.5, bulk],
  [3, loads],
]
