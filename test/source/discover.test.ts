/**
 * Guesses from hand-made schemas: what must be found where foreign keys are missing, names are Chinese or pinyin, and
 * rows contradict names. The reference database and a real server are in discover-reference.test.ts.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfiguration } from '../../src/config.ts'
import type { ColumnRef, SourceProfile, TableInfo } from '../../src/source/contract.ts'
import { type DraftConfiguration, discover, renderDraft } from '../../src/source/discover.ts'

const URL_ICU = 'postgres://chartkeep@h/icu'

interface TableOptions {
  readonly partitionOf?: string
  readonly comment?: string
  readonly rows?: number
}

/**
 * `columns`: `name type`, with `key` after the columns of the primary key and `> schema.table.column` after those of a
 * foreign key, for example `stay_id bigint key`, `patient_id bigint not null > public.patient.patient_id`.
 */
function table(name: string, columns: readonly string[], options: TableOptions = {}): TableInfo {
  const parsed = columns.map((column) => /^(\S+) (.+?)( not null)?( key)?(?: > (\S+)\.(\S+))?$/.exec(column)!)
  return {
    name,
    sqlName: name,
    oid: '1',
    partitionOf: options.partitionOf ?? null,
    columns: parsed.map(([, column, type, notNull, key]) => ({
      name: column!,
      type: type!,
      notNull: notNull !== undefined || key !== undefined,
    })),
    generatedColumns: [],
    primaryKey: parsed.flatMap(([, column, , , key]) => (key === undefined ? [] : [column!])),
    uniqueKeys: [],
    foreignKeys: parsed.flatMap(([, column, , , , references, referencedColumn]) =>
      references === undefined
        ? []
        : [
            {
              name: `${column}_fk`,
              columns: [column!],
              references,
              referencedColumns: [referencedColumn!],
              validated: true,
            },
          ],
    ),
    unlogged: false,
    estimatedRows: options.rows ?? 100,
    estimatedBytes: 8192,
    comment: options.comment ?? null,
  }
}

/** What rows would answer: shares by `table.column>table.column`, and columns that look unique. */
interface Rows {
  readonly shares?: Readonly<Record<string, number | null>>
  readonly unique?: readonly string[]
}

function fakeProfile({ shares = {}, unique = [] }: Rows): SourceProfile {
  const named = (ref: ColumnRef) => `${ref.sqlName}.${ref.column}`
  return {
    containedShare: async (column, referenced) => shares[`${named(column)}>${named(referenced)}`] ?? null,
    looksUnique: async (column) => unique.includes(named(column)),
  }
}

async function draftOf(tables: readonly TableInfo[], rows: Rows = {}): Promise<DraftConfiguration> {
  const source = {
    profile: fakeProfile(rows),
    identify: async () => ({
      engine: 'postgresql' as const,
      systemId: '1',
      timeline: 1,
      databaseOid: '5',
      databaseName: 'icu',
      serverVersion: '18.4',
      serverVersionNumber: 180004,
      encoding: 'UTF8',
    }),
    introspect: async () => ({ tables, sequences: [], notCaptured: [] }),
  }
  return discover(source, { url: URL_ICU })
}

const anchorsOf = (draft: DraftConfiguration) =>
  Object.fromEntries(draft.anchors.map((each) => [each.table, each.column]))
const linksOf = (draft: DraftConfiguration) =>
  draft.links.map((link) => `${link.table}.${link.column}>${link.referencedTable}.${link.referencedColumn}`)

const PATIENT = table('public.patient', [
  'patient_id bigint key',
  'mrn text',
  'name text',
  'sex char(1)',
  'birth_date date',
])
const STAFF = table('public.staff', ['staff_id bigint key', 'name text', 'sex char(1)', 'birth_date date'])
const STAY = table('public.icu_stay', ['stay_id bigint key', 'patient_id bigint not null > public.patient.patient_id'])

describe("the patients' table", () => {
  it('is found without any foreign key, with its record number as label, and staff are not mistaken for it', async () => {
    const draft = await draftOf([
      STAFF,
      PATIENT,
      table('public.stay', ['stay_id bigint key', 'patient_id bigint']),
      table('public.note', ['note_id bigint key', 'patient_id bigint', 'staff_id bigint']),
      table('public.shift', ['shift_id bigint key', 'staff_id bigint']),
    ])

    expect(draft.patient).toMatchObject({ table: 'public.patient', key: 'patient_id', label: ['mrn'] })
    expect(draft.patient?.reason).toContain('other tables with a column patient_id: 2')
  })

  it.each([
    ['pinyin', 'his.brxx', ['brid integer key', 'zyh text', 'xm text', 'xb char(1)', 'csrq date'], 'brid', ['zyh']],
    [
      'Chinese',
      'public."患者信息"',
      ['患者编号 integer key', '住院号 text', '姓名 text', '性别 text'],
      '患者编号',
      ['住院号'],
    ],
    [
      'capitals',
      'public."PatMasterIndex"',
      ['PatientID integer key', 'InpatientNo text', 'Gender text', 'DateOfBirth date'],
      'PatientID',
      ['InpatientNo'],
    ],
  ])('is found when it is named in %s', async (_, name, columns, key, label) => {
    const draft = await draftOf([table(name, columns), STAFF])

    expect(draft.patient).toMatchObject({ table: name, key, label })
  })

  it('is found by its comment when its name says nothing', async () => {
    const columns = ['id integer key', 'f2 text', 'f3 text', 'birthday date', 'gender text']
    const draft = await draftOf([table('public.t0017', columns, { comment: '患者主索引' })])

    expect(draft.patient).toMatchObject({ table: 'public.t0017', key: 'id' })
  })

  it('may have no declared key: a column that is called like one and looks unique is taken', async () => {
    const patients = table('public.patient', ['patient_id bigint', 'id_card text', 'sex char(1)'])
    const draft = await draftOf([patients], { unique: ['public.patient.patient_id'] })

    expect(draft.patient?.key).toBe('patient_id')
    expect((await draftOf([patients])).patient).toBeNull()
  })

  it('is not made up where nothing looks like it', async () => {
    const relative = table('public.relative', ['relative_id bigint key', 'name text', 'sex char(1)', 'phone text'])
    const draft = await draftOf([STAFF, relative, table('public.bed', ['bed_id bigint key'])])

    expect(draft.patient).toBeNull()
    expect(draft.anchors).toEqual([])
    expect(parse(draft).patient).toBeNull()
  })
})

describe('the anchor of a table', () => {
  it("is the patient's id where it has it, else the stay's, else what the nearest foreign key shares", async () => {
    const draft = await draftOf([
      PATIENT,
      STAY,
      table('public.admission', ['admission_id bigint key', 'patient_id bigint not null > public.patient.patient_id']),
      table('public.vital', [
        'vital_id bigint key',
        'admission_id bigint not null > public.admission.admission_id',
        'stay_id bigint not null > public.icu_stay.stay_id',
      ]),
      table('public.note', [
        'note_id uuid key',
        'stay_id bigint > public.icu_stay.stay_id',
        'patient_id bigint > public.patient.patient_id',
      ]),
      table('public.exam', ['exam_id bigint key', 'stay_id bigint > public.icu_stay.stay_id']),
      table('public.finding', ['finding_id bigint key', 'exam_id bigint not null > public.exam.exam_id']),
      table('public.finding_image', ['image_id bigint key', 'finding_id bigint > public.finding.finding_id']),
    ])

    expect(anchorsOf(draft)).toEqual({
      'public.patient': 'patient_id',
      'public.admission': 'patient_id',
      'public.icu_stay': 'patient_id',
      'public.note': 'patient_id',
      'public.vital': 'stay_id',
      'public.exam': 'stay_id',
      'public.finding': 'exam_id',
      'public.finding_image': 'finding_id',
    })
  })

  it('goes through a foreign key of several columns when they hold the anchor of the parent', async () => {
    const version = table('public.version', ['note_id uuid key', 'version integer key'])
    const signature = {
      ...table('public.signature', ['signature_id uuid key', 'doc uuid', 'doc_version integer']),
      foreignKeys: [
        {
          name: 'signature_version_fk',
          columns: ['doc_version', 'doc'],
          references: 'public.version',
          referencedColumns: ['version', 'note_id'],
          validated: true,
        },
      ],
    }
    const draft = await draftOf([
      PATIENT,
      table('public.note', ['note_id uuid key', 'patient_id bigint > public.patient.patient_id']),
      { ...version, foreignKeys: table('v', ['note_id uuid > public.note.note_id']).foreignKeys },
      signature,
    ])

    expect(anchorsOf(draft)).toMatchObject({ 'public.version': 'note_id', 'public.signature': 'doc' })
  })

  it('comes from a link where the database declares none', async () => {
    const lab = table('public.lab', ['lab_id bigint key', 'stay_id bigint'])
    const draft = await draftOf([PATIENT, STAY, lab], { shares: { 'public.lab.stay_id>public.icu_stay.stay_id': 1 } })

    expect(anchorsOf(draft)).toMatchObject({ 'public.lab': 'stay_id' })
    expect(linksOf(draft)).toEqual(['public.lab.stay_id>public.icu_stay.stay_id'])
    expect(draft.links[0]?.reason).toBe(
      'no foreign key; same name and type; 100 % of up to 1000 sampled values found there',
    )
  })

  it("is not a merged patient's other id, and not what a dictionary happens to name", async () => {
    const draft = await draftOf([
      table('public.patient', [
        'patient_id bigint key',
        'merged_into bigint > public.patient.patient_id',
        'sex char(1)',
        'birth_date date',
      ]),
      STAY,
      table('public.bed', ['bed_id bigint key', 'current_stay_id bigint > public.icu_stay.stay_id']),
      table('public.bed_cleaning', ['cleaning_id bigint key', 'bed_id bigint > public.bed.bed_id']),
    ])

    expect(anchorsOf(draft)).toEqual({ 'public.patient': 'patient_id', 'public.icu_stay': 'patient_id' })
    expect(draft.unanchored).toEqual(['public.bed_cleaning'])
    expect(draft.patient?.reason).toContain('other tables with a foreign key to patient_id: 1')
  })

  it('is given to a partitioned table once, by its topmost name', async () => {
    const columns = ['stay_id bigint not null > public.icu_stay.stay_id', 'at timestamptz']
    const draft = await draftOf([
      PATIENT,
      STAY,
      table('public.vital_2026_01', columns, { partitionOf: 'public.vital_sign' }),
      table('public.vital_2026_02', columns, { partitionOf: 'public.vital_sign' }),
    ])

    expect(anchorsOf(draft)).toMatchObject({ 'public.vital_sign': 'stay_id' })
    expect(draft.categories.map(({ table: name }) => name)).not.toContain('public.vital_2026_01')
  })
})

describe('a link', () => {
  const lab = table('public.lab', ['lab_id bigint key', 'stay_id bigint', 'id integer', 'patient_id text'])
  const stays = 'public.lab.stay_id>public.icu_stay.stay_id'

  it.each([
    ['most values are missing there', { [stays]: 0.94 }, []],
    ['few values are missing there', { [stays]: 0.9996 }, [stays]],
    ['there are no values yet', { [stays]: null }, [stays]],
  ])('is believed by name and type only as far as rows agree: %s', async (_, shares, expected) => {
    expect(linksOf(await draftOf([PATIENT, STAY, lab], { shares }))).toEqual(expected)
  })

  it('never shows a share as whole that is not', async () => {
    const draft = await draftOf([PATIENT, STAY, lab], { shares: { [stays]: 0.9996 } })

    expect(draft.links[0]?.reason).toContain('99.9 %')
  })

  it('leads from the extension to the table that the key is called after, when all its values are there', async () => {
    const extra = table('public.allergy', ['patient_id bigint key', 'allergies text'])
    const link = 'public.allergy.patient_id>public.patient.patient_id'

    expect(linksOf(await draftOf([PATIENT, extra], { shares: { [link]: 1 } }))).toEqual([link])
    expect(linksOf(await draftOf([PATIENT, extra], { shares: { [link]: 0.99 } }))).toEqual([])
    expect(linksOf(await draftOf([PATIENT, extra]))).toEqual([])
  })

  it('finds a key that is only called id by the name of its table, and a role before the name of a key', async () => {
    const ward = table('public.wards', ['id integer key'])
    const shift = table('public.shift', [
      'shift_id integer key',
      'ward_id integer',
      'lead_staff_id bigint',
      'id integer',
    ])
    const shares = {
      'public.shift.ward_id>public.wards.id': 1,
      'public.shift.lead_staff_id>public.staff.staff_id': 1,
      'public.shift.id>public.wards.id': 1,
    }

    expect(linksOf(await draftOf([STAFF, ward, shift], { shares }))).toEqual([
      'public.shift.ward_id>public.wards.id',
      'public.shift.lead_staff_id>public.staff.staff_id',
    ])
  })
})

describe('the category of a table', () => {
  it.each([
    ['public.nursing_record', '护理记录'],
    ['public.med_order', '医嘱'],
    ['public.order_execution', '医嘱'],
    ['public.document_version', '病历文书'],
    ['public.quality_indicator', '质控数据'],
    ['public.device_data', '设备数据'],
    ['public.device', '字典'],
    ['public.fluid_balance', '出入量'],
    ['public."LabResult"', '检验'],
    ['public.sofa_score', '评分'],
    ['public.audit_log', '审计'],
    ['public.patient_transfer', '患者'],
    ['his.tb_hljl', '护理记录'],
    ['his.yz_zxjl', '医嘱'],
    ['his.smtz', '生命体征'],
    ['public."体温单"', '生命体征'],
    ['public."出入量记录"', '出入量'],
    ['zd.t1', '其他'],
    ['dict.t1', '字典'],
    ['public.d_items', '字典'],
  ])('of %s is %s', async (name, category) => {
    const draft = await draftOf([table(name, ['x_id bigint key'])])

    expect(draft.categories).toEqual([expect.objectContaining({ table: name, category })])
  })

  it('comes from the comment when the name says nothing, else from where the table belongs', async () => {
    const draft = await draftOf([
      PATIENT,
      table('public.t01', ['t01_id bigint key', 'patient_id bigint > public.patient.patient_id'], {
        comment: '护理记录单',
      }),
      table('public.t02', ['t02_id bigint key', 't01_id bigint > public.t01.t01_id']),
      table('public.t03', ['t03_id bigint key']),
      table('public.t04', ['t04_id bigint key', 't03_id bigint > public.t03.t03_id']),
    ])

    expect(Object.fromEntries(draft.categories.map((each) => [each.table, each.category]))).toMatchObject({
      'public.t01': '护理记录',
      'public.t02': '护理记录',
      'public.t03': '字典',
      'public.t04': '其他',
    })
  })
})

describe('a draft', () => {
  it('is a configuration that says the same, whatever tables and columns are called', async () => {
    // Half of them of the characters that mean something to YAML, to a link, or to a quoted name.
    const telling = fc.constantFrom(...'"\'.->#:,[]{}&*!|%@` \n\t~a重')
    const name = fc
      .oneof(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
        fc.string({ unit: telling, minLength: 1, maxLength: 6 }),
      )
      .filter((text) => !/[\0\ud800-\udfff]/.test(text))
    const quoted = name.map((text) => `"${text.replaceAll('"', '""')}"`)
    const tableName = fc.tuple(quoted, quoted).map((parts) => parts.join('.'))
    const seed = Number(process.env.FC_SEED ?? 20261123)

    fc.assert(
      fc.property(
        fc.uniqueArray(tableName, { minLength: 2, maxLength: 4 }),
        name,
        name,
        fc.string(),
        (tables, one, two, reason) => {
          const [table1, table2] = [tables[0]!, tables[1]!]
          const draft: DraftConfiguration = {
            sourceName: 'icu',
            url: URL_ICU,
            databaseName: reason,
            serverVersion: '18.4',
            patient: { table: table1, key: one, label: [two, one], reason },
            anchors: tables.map((each) => ({ table: each, column: two, via: null, reason })),
            categories: tables.map((each) => ({ table: each, category: '护理记录', reason })),
            links: [{ table: table1, column: one, referencedTable: table2, referencedColumn: two, reason }],
            unanchored: [table2],
          }

          const source = parse(draft)

          expect(source.patient).toEqual({ table: table1, key: one, label: [two, one] })
          expect(source.anchors).toEqual(new Map(tables.map((each) => [each, two])))
          expect(source.categories).toEqual(new Map(tables.map((each) => [each, '护理记录'])))
          expect(source.links).toEqual([{ table: table1, column: one, referencedTable: table2, referencedColumn: two }])
        },
      ),
      { seed, numRuns: 150 },
    )
  })

  it('gives each guess its reason on its own line, and takes the repository that it is told', async () => {
    const text = renderDraft(await draftOf([PATIENT, STAY]), { repositoryUrl: 's3://bucket/icu' })

    expect(text).toContain('  url: s3://bucket/icu\n')
    expect(text).toContain('      public.icu_stay: patient_id  # foreign key patient_id_fk, to public.patient\n')
    expect(text).toContain("      public.patient: patient_id  # the patient's own key\n")
    expect(text).toContain('        - public.icu_stay  # name: stay\n')
  })
})

function parse(draft: DraftConfiguration) {
  return parseConfiguration(renderDraft(draft), { path: '/chartkeep.yaml' }).sources[0]!
}
