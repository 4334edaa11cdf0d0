/** Statements that nobody meant, by the random dozen: what a server refuses does not happen. */
import pg from 'pg'
import type { Random } from '../../../../scripts/reference/random.ts'
import type { AccidentSite } from './site.ts'
import type { AccidentTable } from './world.ts'

export interface Victims {
  readonly patient: string
  readonly others: readonly string[]
}

export type Accident = (scene: Scene) => string[]

export interface Scene extends Victims {
  readonly site: Pick<AccidentSite, 'world' | 'columns' | 'types'>
  readonly random: Random
}

/** Carries a few out. @returns what, and how many rows; a block of statements counts for one */
export async function befall(
  site: Pick<AccidentSite, 'world' | 'columns' | 'types' | 'client' | 'place'>,
  random: Random,
  victims: Victims,
): Promise<string[]> {
  const happened: string[] = []
  const count = random.within(1, 6)
  for (let nth = 0; nth < count; nth += 1) {
    const [name, accident] = random.pick(site.place.accidents)
    let done = 0
    for (const statement of accident({ site, random, ...victims })) {
      const result = await site.client.query(statement).catch((error: unknown) => {
        // A statement of ours that the server cannot read is a defect of the test; all else is the luck of the accident.
        if (error instanceof pg.DatabaseError && /^42(?!501|8C9)/.test(error.code ?? ''))
          throw new Error(`${error.message}: ${statement}`)
        return null
      })
      done += result === null ? 0 : (result.rowCount ?? 1)
    }
    happened.push(`${name} ${done}`)
  }
  return happened
}

/** Rows of the patient, of another, or of anybody. */
export function someRows({ random, patient, others }: Scene, table: AccidentTable, most: number): string {
  const owner = random.chance(0.7) ? patient : random.chance(0.5) ? random.pick(others) : null
  const whose = owner === null ? 'true' : `(${table.owner})::text = ${pg.escapeLiteral(owner)}`
  return `t::text IN (SELECT t::text FROM ${table.name} t WHERE ${whose} ORDER BY md5(t::text || '${random.hex(4)}') LIMIT ${random.within(1, most)})`
}

export function owned({ site, random }: Scene): AccidentTable {
  return random.pick(site.world.tables.filter(({ owner }) => owner !== 'NULL'))
}

const deleteRows: Accident = (scene) => {
  const table = owned(scene)
  return [`DELETE FROM ${table.name} t WHERE ${someRows(scene, table, 20)}`]
}

const deleteOneOfEqual: Accident = ({ random }) => [
  `DELETE FROM public.device_alarm WHERE ctid IN (SELECT ctid FROM public.device_alarm ORDER BY md5(code || ctid::text || '${random.hex(4)}') LIMIT 3)`,
]

/** A value of another row, of the same column: keys, parents and unique values among them. */
const otherValue: Accident = (scene) => {
  const { site, random } = scene
  const table = owned(scene)
  const column = `"${random.pick(site.columns.get(table.name)!)}"`
  const from = `(SELECT ${column} AS value FROM ${table.name} t ORDER BY md5(t::text || '${random.hex(4)}') LIMIT 1)`
  return [`UPDATE ${table.name} t SET ${column} = o.value FROM ${from} o WHERE ${someRows(scene, table, 8)}`]
}

export const HARD_TEXTS = ["E'tab\\tnew\\nline'", "'\\N'", "E'back\\\\slash \\\\.'", "''", "'引号''\"'", 'NULL']

const otherText: Accident = (scene) => {
  const { site, random } = scene
  const table = owned(scene)
  const texts = site.columns.get(table.name)!.filter((column) => site.types.get(`${table.name}.${column}`) === 'text')
  if (texts.length === 0) return []
  const column = random.pick(texts)
  return [`UPDATE ${table.name} t SET "${column}" = ${random.pick(HARD_TEXTS)} WHERE ${someRows(scene, table, 8)}`]
}

/** What a column of a key is to be, so that nobody has it. */
export function fresh({ site, random }: Scene, table: AccidentTable, column: string): string | null {
  const type = site.types.get(`${table.name}.${column}`) ?? ''
  if (/int/.test(type))
    return `t."${column}" + ${type === 'smallint' ? random.within(20, 200) : random.within(1, 9) * 100_000}`
  if (/^timestamp/.test(type)) return `t."${column}" + interval '${random.within(1, 50_000)} seconds'`
  if (type === 'uuid') return `md5(t."${column}"::text || '${random.hex(4)}')::uuid`
  return null
}

const insertCopies: Accident = (scene) => {
  const table = owned(scene)
  const own = table.key.at(-1)
  const columns = scene.site.columns.get(table.name)!
  const values = columns.map((column) => {
    const isMrn = table.name === 'public.patient' && column === 'mrn'
    if (isMrn) return `'ZY${scene.random.within(50_000_000, 99_999_999)}'`
    return (column === own ? fresh(scene, table, column) : null) ?? `t."${column}"`
  })
  const names = columns.map((column) => `"${column}"`).join(', ')
  return [
    `INSERT INTO ${table.name} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values.join(', ')} FROM ${table.name} t WHERE ${someRows(scene, table, 6)}`,
  ]
}

const changeKeys: Accident = (scene) => {
  const table = owned(scene)
  const column = table.key.at(-1)
  const value = column === undefined ? null : fresh(scene, table, column)
  if (value === null) return []
  return [`UPDATE ${table.name} t SET "${column}" = ${value} WHERE ${someRows(scene, table, 4)}`]
}

const OF_PATIENTS = ['public.admission', 'public.icu_stay', 'public.clinical_document']

const moveStay: Accident = ({ random, patient, others }) => {
  const [from, to] = random.chance(0.5) ? [patient, random.pick(others)] : [random.pick(others), patient]
  const stay = `(SELECT min(stay_id) FROM public.icu_stay WHERE patient_id = ${from})`
  return [
    ...(random.chance(0.5) ? [`UPDATE public.clinical_document SET patient_id = ${to} WHERE stay_id = ${stay}`] : []),
    `UPDATE public.icu_stay SET patient_id = ${to} WHERE stay_id = ${stay}`,
  ]
}

const merge: Accident = ({ random, patient, others }) => {
  const [from, to] = random.chance(0.5) ? [patient, random.pick(others)] : [random.pick(others), patient]
  return [
    ...OF_PATIENTS.map((table) => `UPDATE ${table} SET patient_id = ${to} WHERE patient_id = ${from}`),
    random.chance(0.5)
      ? `UPDATE public.patient SET merged_into = ${to} WHERE patient_id = ${from}`
      : `DELETE FROM public.patient WHERE patient_id = ${from}`,
  ]
}

/** In one transaction: documents and their versions refer to each other until its end. */
const deletePatient: Accident = ({ site, random, patient, others }) => {
  const gone = random.chance(0.8) ? patient : random.pick(others)
  const tables = site.world.tables.filter(({ owner }) => owner !== 'NULL').toReversed()
  const statements = tables.map(({ name, owner }) => `DELETE FROM ${name} t WHERE (${owner}) = ${gone}`)
  const versions = tables.findIndex(({ name }) => name === 'public.document_version')
  const upTo = random.chance(0.7) ? statements.length : random.within(versions, statements.length)
  return [`DO $$ BEGIN ${statements.slice(0, upTo).join('; ')}; END $$`]
}

const renumber: Accident = (scene) => {
  const { site, random, patient } = scene
  const to = random.within(800_000, 900_000)
  const columns = site.columns.get('public.patient')!.filter((column) => column !== 'patient_id' && column !== 'mrn')
  const names = columns.map((column) => `"${column}"`).join(', ')
  return [
    `DO $$ BEGIN
      INSERT INTO public.patient (patient_id, mrn, ${names}) SELECT ${to}, 'ZY0' || right(mrn, 7), ${names} FROM public.patient WHERE patient_id = ${patient};
      ${OF_PATIENTS.map((table) => `UPDATE ${table} SET patient_id = ${to} WHERE patient_id = ${patient};`).join(' ')}
      DELETE FROM public.patient WHERE patient_id = ${patient};
    END $$`,
  ]
}

const otherIdentifier: Accident = ({ random, patient }) => [
  `UPDATE public.patient SET mrn = 'ZY${random.within(50_000_000, 99_999_999)}' WHERE patient_id = ${patient}`,
]

/** Somebody else gets the patient's number, or the label; after a deletion both are free. */
const takeIdentity: Accident = (scene) => {
  const { site, random, patient, others } = scene
  const names = site.columns.get('public.patient')!.map((column) => `"${column}"`)
  const takesKey = random.chance(0.5)
  const mrn = `'ZY${random.within(50_000_000, 99_999_999)}'`
  const values = names.map((name) => {
    if (name === '"patient_id"') return takesKey ? patient : String(random.within(800_000, 900_000))
    if (name === '"mrn"')
      return takesKey ? mrn : `coalesce((SELECT mrn FROM oracle.labels WHERE patient_id = ${patient}), ${mrn})`
    return name
  })
  return [
    `UPDATE public.patient SET mrn = ${mrn} WHERE patient_id = ${patient} AND ${!takesKey}`,
    `INSERT INTO public.patient (${names.join(', ')}) SELECT ${values.join(', ')} FROM public.patient WHERE patient_id = ${random.pick(others)}`,
  ]
}

const dropDictionaryRow: Accident = ({ random }) => {
  const drug = `(SELECT drug_code FROM public.med_order WHERE drug_code IS NOT NULL ORDER BY md5(order_id::text || '${random.hex(4)}') LIMIT 1)`
  return [
    `DO $$ DECLARE code text := ${drug}; BEGIN
      DELETE FROM public.order_execution e USING public.med_order o WHERE o.order_id = e.order_id AND o.drug_code = code;
      UPDATE public.med_order SET group_order_id = NULL WHERE group_order_id IN (SELECT order_id FROM public.med_order WHERE drug_code = code);
      DELETE FROM public.med_order WHERE drug_code = code;
      DELETE FROM dict.drug WHERE drug_code = code;
    END $$`,
  ]
}

const takeBed: Accident = ({ random, patient }) => [
  `UPDATE public.icu_stay SET out_at = now(), outcome = '好转' WHERE patient_id = ${patient} AND out_at IS NULL`,
  `UPDATE public.icu_stay SET out_at = NULL, outcome = NULL WHERE stay_id = (SELECT stay_id FROM public.icu_stay WHERE patient_id <> ${patient} ORDER BY md5(stay_id::text || '${random.hex(4)}') LIMIT 1)`,
]

const deleteParent: Accident = ({ random }) => [
  `DELETE FROM public.document_signature WHERE document_id IN (SELECT document_id FROM public.clinical_document ORDER BY md5(document_id::text || '${random.hex(1)}') LIMIT 3)`,
  `DELETE FROM public.clinical_document WHERE document_id NOT IN (SELECT document_id FROM public.document_signature)`,
  `DELETE FROM public.med_order WHERE order_id IN (SELECT group_order_id FROM public.med_order) AND order_id NOT IN (SELECT order_id FROM public.order_execution)`,
]

/** That befall any database. */
export const COMMON_ACCIDENTS: readonly (readonly [string, Accident])[] = [
  ['rows deleted', deleteRows],
  ['rows deleted', deleteRows],
  ['values of other rows', otherValue],
  ['values of other rows', otherValue],
  ['copies', insertCopies],
  ['copies', insertCopies],
  ['keys changed', changeKeys],
]

export const REFERENCE_ACCIDENTS: readonly (readonly [string, Accident])[] = [
  ['rows deleted', deleteRows],
  ['rows deleted', deleteRows],
  ['one of equal rows deleted', deleteOneOfEqual],
  ['values of other rows', otherValue],
  ['values of other rows', otherValue],
  ['hard texts', otherText],
  ['copies', insertCopies],
  ['copies', insertCopies],
  ['keys changed', changeKeys],
  ['stay moved', moveStay],
  ['patients merged', merge],
  ['patient deleted', deletePatient],
  ['patient renumbered', renumber],
  ['label changed', otherIdentifier],
  ['identity taken', takeIdentity],
  ['dictionary row gone', dropDictionaryRow],
  ['bed taken', takeBed],
  ['parents deleted', deleteParent],
]
