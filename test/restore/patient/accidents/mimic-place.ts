/**
 * A real ICU database (MIMIC-IV demo 2.2, a pg_dump archive that is no part of this project): every table of a patient has
 * the patient's number, seven have no primary key and equal rows, keys end in spaces, and no foreign key has an index.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { Random } from '../../../../scripts/reference/random.ts'
import { type Accident, befall, COMMON_ACCIDENTS, fresh, HARD_TEXTS, owned, someRows } from './accidents.ts'
import type { AccidentPlace, AccidentTable, AccidentWorld, PlayScene } from './world.ts'

const nobodys = (name: string, ...key: string[]): AccidentTable => ({ name, key, owner: 'NULL' })
const hosp = (name: string, ...key: string[]): AccidentTable => theirs(`mimiciv_hosp.${name}`, key)
const icu = (name: string, ...key: string[]): AccidentTable => theirs(`mimiciv_icu.${name}`, key)
const theirs = (name: string, key: readonly string[]): AccidentTable => ({ name, key, owner: 't.subject_id' })

/** Parents before children. */
const TABLES: readonly AccidentTable[] = [
  nobodys('mimiciv_hosp.d_hcpcs', 'code'),
  nobodys('mimiciv_hosp.d_icd_diagnoses', 'icd_code', 'icd_version'),
  nobodys('mimiciv_hosp.d_icd_procedures', 'icd_code', 'icd_version'),
  nobodys('mimiciv_hosp.d_labitems', 'itemid'),
  nobodys('mimiciv_hosp.provider'),
  nobodys('mimiciv_icu.caregiver'),
  nobodys('mimiciv_icu.d_items', 'itemid'),
  hosp('patients', 'subject_id'),
  hosp('admissions', 'hadm_id'),
  hosp('services', 'hadm_id', 'transfertime', 'curr_service'),
  hosp('transfers', 'transfer_id'),
  hosp('diagnoses_icd', 'hadm_id', 'seq_num', 'icd_code', 'icd_version'),
  hosp('procedures_icd', 'hadm_id', 'seq_num', 'icd_code', 'icd_version'),
  hosp('drgcodes'),
  hosp('hcpcsevents', 'hadm_id', 'hcpcs_cd', 'seq_num'),
  hosp('labevents', 'labevent_id'),
  hosp('microbiologyevents', 'microevent_id'),
  hosp('omr'),
  hosp('poe', 'poe_id'),
  hosp('poe_detail', 'poe_id', 'field_name'),
  hosp('pharmacy', 'pharmacy_id'),
  hosp('prescriptions', 'pharmacy_id', 'drug_type', 'drug'),
  hosp('emar', 'emar_id'),
  hosp('emar_detail'),
  icu('icustays', 'stay_id'),
  icu('chartevents'),
  icu('datetimeevents', 'stay_id', 'itemid', 'charttime'),
  icu('ingredientevents'),
  icu('inputevents', 'orderid', 'itemid'),
  icu('outputevents', 'stay_id', 'charttime', 'itemid'),
  icu('procedureevents', 'orderid'),
]

const PATIENTS = 'mimiciv_hosp.patients'
const OWNED = TABLES.filter(({ owner }) => owner !== 'NULL')
const BELOW = OWNED.filter(({ name }) => name !== PATIENTS)
const OF_HOSPITAL = OWNED.filter(({ name }) => name.startsWith('mimiciv_hosp.')).map(({ name }) => name)
const OF_ICU = OWNED.filter(({ name }) => name.startsWith('mimiciv_icu.')).map(({ name }) => name)

const WORLD: AccidentWorld = {
  tables: TABLES,
  patients: PATIENTS,
  trailed: new Set(['mimiciv_hosp.labevents', 'mimiciv_hosp.prescriptions']),
  layout: {
    patient: { table: PATIENTS, key: 'subject_id' },
    anchors: Object.fromEntries(BELOW.map(({ name }) => [name, 'subject_id'])),
    links: ['mimiciv_hosp.omr', 'mimiciv_icu.ingredientevents'].map(
      (table) => `${table}.subject_id -> ${PATIENTS}.subject_id`,
    ),
    categories: { hospital: OF_HOSPITAL, icu: OF_ICU },
  },
  categories: { hospital: OF_HOSPITAL, icu: OF_ICU },
}

/** What the oracle reads whole, many times in a round, keeps one row of so many, in one piece where rows hang on rows. */
const KEPT_OF: readonly (readonly [table: string, column: string, one: number])[] = [
  ['mimiciv_icu.chartevents', 't::text', 400],
  ['mimiciv_icu.datetimeevents', 't::text', 15],
  ['mimiciv_icu.ingredientevents', 't::text', 30],
  ['mimiciv_icu.inputevents', 't::text', 20],
  ['mimiciv_icu.outputevents', 't::text', 12],
  ['mimiciv_hosp.labevents', 't::text', 80],
  ['mimiciv_hosp.microbiologyevents', 't::text', 4],
  ['mimiciv_hosp.diagnoses_icd', 't::text', 5],
  ['mimiciv_hosp.omr', 't::text', 4],
  ['mimiciv_hosp.pharmacy', 't.pharmacy_id::text', 20],
  ['mimiciv_hosp.prescriptions', 't.pharmacy_id::text', 20],
  ['mimiciv_hosp.emar_detail', 't.emar_id', 50],
  ['mimiciv_hosp.emar', 't.emar_id', 50],
  ['mimiciv_hosp.poe_detail', 't.poe_id', 30],
  ['mimiciv_hosp.poe', 't.poe_id', 30],
]

/** Words of dictionaries that no row is left to use. */
const UNUSED = [
  'DELETE FROM mimiciv_hosp.d_hcpcs d WHERE NOT EXISTS (SELECT FROM mimiciv_hosp.hcpcsevents e WHERE e.hcpcs_cd = d.code)',
  'DELETE FROM mimiciv_hosp.d_icd_diagnoses WHERE icd_code NOT IN (SELECT icd_code FROM mimiciv_hosp.diagnoses_icd)',
  'DELETE FROM mimiciv_hosp.d_icd_procedures WHERE icd_code NOT IN (SELECT icd_code FROM mimiciv_hosp.procedures_icd)',
  'DELETE FROM mimiciv_hosp.d_labitems WHERE itemid NOT IN (SELECT itemid FROM mimiciv_hosp.labevents)',
  `DELETE FROM mimiciv_icu.d_items WHERE itemid NOT IN (SELECT itemid FROM mimiciv_icu.chartevents UNION SELECT itemid
     FROM mimiciv_icu.datetimeevents UNION SELECT itemid FROM mimiciv_icu.inputevents UNION SELECT itemid
     FROM mimiciv_icu.outputevents UNION SELECT itemid FROM mimiciv_icu.procedureevents)`,
]

/** Of a table without a key, one of equal rows among them. */
const deleteKeyless: Accident = ({ random }) => {
  const { name } = random.pick(OWNED.filter(({ key }) => key.length === 0))
  const some = `SELECT ctid FROM ${name} t ORDER BY md5(t::text || ctid::text || '${random.hex(4)}') LIMIT 3`
  return [`DELETE FROM ${name} WHERE ctid IN (${some})`]
}

const otherText: Accident = (scene) => {
  const { site, random } = scene
  const table = owned(scene)
  const isText = (column: string) => /^(text|character varying)$/.test(site.types.get(`${table.name}.${column}`) ?? '')
  const texts = site.columns.get(table.name)!.filter(isText)
  if (texts.length === 0) return []
  return [
    `UPDATE ${table.name} t SET "${random.pick(texts)}" = ${random.pick(HARD_TEXTS)} WHERE ${someRows(scene, table, 8)}`,
  ]
}

/** A key that ends in a space is another key. */
const spacesBehind: Accident = (scene) => {
  const table = TABLES.find(({ name }) => name === 'mimiciv_hosp.prescriptions')!
  const drug = scene.random.chance(0.5) ? `drug || ' '` : 'rtrim(drug)'
  return [`UPDATE ${table.name} t SET drug = ${drug} WHERE ${someRows(scene, table, 5)}`]
}

const fromTo = ({ random, patient, others }: Parameters<Accident>[0]): readonly [string, string] =>
  random.chance(0.5) ? [patient, random.pick(others)] : [random.pick(others), patient]

const merge: Accident = (scene) => {
  const [from, to] = fromTo(scene)
  const moved = BELOW.map(({ name }) => `UPDATE ${name} SET subject_id = ${to} WHERE subject_id = ${from}`)
  return scene.random.chance(0.5) ? moved : [...moved, `DELETE FROM ${PATIENTS} WHERE subject_id = ${from}`]
}

/** With all that hangs on it, or by itself. */
const moveAdmission: Accident = (scene) => {
  const [from, to] = fromTo(scene)
  const columns = scene.site.columns
  const hangs = scene.random.chance(0.7) ? BELOW.filter(({ name }) => columns.get(name)!.includes('hadm_id')) : []
  const admission = `(SELECT min(hadm_id) FROM mimiciv_hosp.admissions WHERE subject_id = ${from})`
  const last = `UPDATE mimiciv_hosp.admissions SET subject_id = ${to} WHERE hadm_id = ${admission}`
  const below = hangs.filter(({ name }) => name !== 'mimiciv_hosp.admissions')
  return [...below.map(({ name }) => `UPDATE ${name} SET subject_id = ${to} WHERE hadm_id = ${admission}`), last]
}

const deletePatient: Accident = ({ random, patient, others }) => {
  const gone = random.chance(0.8) ? patient : random.pick(others)
  const statements = OWNED.toReversed().map(({ name }) => `DELETE FROM ${name} WHERE subject_id = ${gone}`)
  const upTo = random.chance(0.7) ? statements.length : random.within(1, statements.length)
  return statements.slice(0, upTo)
}

const renumber: Accident = ({ site, random, patient }) => {
  const to = random.within(90_000_000, 99_000_000)
  const names = site.columns.get(PATIENTS)!.filter((column) => column !== 'subject_id')
  return [
    `INSERT INTO ${PATIENTS} (subject_id, ${names.join(', ')}) SELECT ${to}, ${names.join(', ')} FROM ${PATIENTS} WHERE subject_id = ${patient}`,
    ...BELOW.map(({ name }) => `UPDATE ${name} SET subject_id = ${to} WHERE subject_id = ${patient}`),
    `DELETE FROM ${PATIENTS} WHERE subject_id = ${patient}`,
  ]
}

/** After a deletion, somebody else gets the number of the patient, or of an admission. */
const takeNumber: Accident = ({ site, random, patient, others }) => {
  const names = site.columns.get(PATIENTS)!.filter((column) => column !== 'subject_id')
  return [
    `INSERT INTO ${PATIENTS} (subject_id, ${names.join(', ')}) SELECT ${patient}, ${names.join(', ')} FROM ${PATIENTS} WHERE subject_id = ${random.pick(others)}`,
  ]
}

const newAdmission: Accident = (scene) => {
  const table = TABLES.find(({ name }) => name === 'mimiciv_hosp.admissions')!
  const columns = scene.site.columns.get(table.name)!
  const values = columns.map((column) => (column === 'hadm_id' ? fresh(scene, table, column)! : `t."${column}"`))
  return [
    `INSERT INTO ${table.name} (${columns.join(', ')}) SELECT ${values.join(', ')} FROM ${table.name} t WHERE ${someRows(scene, table, 2)}`,
  ]
}

const DEEDS = [
  `UPDATE ${PATIENTS} SET anchor_age = 50 + $2 WHERE subject_id = $1`,
  `UPDATE mimiciv_hosp.labevents SET comments = coalesce(comments, '') || '.' WHERE labevent_id = (SELECT labevent_id
     FROM mimiciv_hosp.labevents WHERE subject_id = $1 ORDER BY 1 OFFSET $2 LIMIT 1)`,
  `DELETE FROM mimiciv_icu.outputevents WHERE (stay_id, charttime, itemid) = (SELECT stay_id, charttime, itemid
     FROM mimiciv_icu.outputevents WHERE subject_id = $1 ORDER BY 1, 2, 3 OFFSET $2 LIMIT 1)`,
  `UPDATE mimiciv_hosp.pharmacy SET status = 'stopped' WHERE pharmacy_id = (SELECT pharmacy_id FROM mimiciv_hosp.pharmacy
     WHERE subject_id = $1 ORDER BY 1 OFFSET $2 LIMIT 1)`,
  `INSERT INTO mimiciv_hosp.labevents (labevent_id, subject_id, specimen_id, itemid) SELECT max(labevent_id) + 1, $1, $2, min(itemid)
     FROM mimiciv_hosp.labevents`,
]

const TURNS = 12

/** @param archive that pg_restore of version 15 or later reads */
export function mimicPlace(archive: string): AccidentPlace {
  const accidents = [
    ...COMMON_ACCIDENTS,
    ['rows without a key deleted', deleteKeyless],
    ['hard texts', otherText],
    ['spaces behind a key', spacesBehind],
    ['admission moved', moveAdmission],
    ['patients merged', merge],
    ['patient deleted', deletePatient],
    ['patient renumbered', renumber],
    ['number taken', takeNumber],
    ['new admission', newAdmission],
  ] as const
  const place: AccidentPlace = {
    world: WORLD,
    // Debian's pg_restore is needed to load the archive.
    version: 15,
    make: async (server, url) => {
      await promisify(execFile)(join(server.binDirectory, 'pg_restore'), ['-j2', '--no-owner', '-d', url, archive])
      await thinOut(url)
    },
    finish: [],
    play: async (scene, seed) => await play(place, scene, seed),
    accidents,
    deeds: DEEDS,
    hasWard: false,
  }
  return place
}

async function thinOut(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await client.query('SET session_replication_role = replica')
  for (const [table, text, one] of KEPT_OF) {
    await client.query(`DELETE FROM ${table} t WHERE hashtext(${text}) % ${one} <> 0`)
  }
  for (const statement of UNUSED) await client.query(statement)
  await client.end()
}

/** There is no application for it: what happens are accidents, too. */
async function play(place: AccidentPlace, { client, columns, types }: PlayScene, seed: number): Promise<void> {
  const random = new Random(seed, 'history')
  const { rows } = await client.query<{ id: string }>(`SELECT subject_id::text AS id FROM ${PATIENTS} ORDER BY 1`)
  const patients = rows.map(({ id }) => id)
  for (let turn = 0; turn < TURNS; turn += 1) {
    const patient = random.pick(patients)
    const others = patients.filter((other) => other !== patient)
    await befall({ place, world: WORLD, columns, types, client }, random, { patient, others })
  }
}
