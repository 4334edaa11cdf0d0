import { describe, expect, it } from 'vitest'
import { chooseSource, loadConfiguration, parseConfiguration } from '../src/config.ts'
import { editDistance } from '../src/config-problems.ts'
import { fakeWorld } from './support/world.ts'

const WHOLE = `
repository:
  url: file:///srv/chartkeep
sources:
  icu:
    url: postgres://chartkeep@db.hospital:5432/icu
    passwordFile: secrets/icu
    caFile: /etc/ssl/hospital.pem
    patient: { table: public.patient, key: patient_id, label: [mrn] }
    anchors: { public.vital_sign: stay_id, 'public."Odd:Name"': pid }
    categories: { 生命体征: [public.vital_sign], 病历文书: [public.document, public.document_version] }
    links: [ "public.lab_result.stay_id -> public.icu_stay.stay_id", 'a."B.c"."d->""e" -> public.x.y' ]
    exclude: [public.scratch]
    capture: { sealSeconds: 2.5 }
    scratch: { url: "sqlserver://drills@drill-server:1433", passwordFile: secrets/drills }
    retention: { last: 3, daily: 14, window: 14d }
`

const parse = (file: string, repositoryUrl?: string) =>
  parseConfiguration(file, { path: '/etc/chartkeep/chartkeep.yaml', ...(repositoryUrl && { repositoryUrl }) })

describe('a configuration', () => {
  it('is read whole, with paths from its own directory and tables by name', () => {
    const { repository, sources } = parse(WHOLE)

    expect(repository).toEqual({ url: 'file:///srv/chartkeep', credentialsFile: null, caFile: null })
    expect(sources).toHaveLength(1)
    expect(sources[0]).toEqual({
      name: 'icu',
      url: 'postgres://chartkeep@db.hospital:5432/icu',
      passwordFile: '/etc/chartkeep/secrets/icu',
      caFile: '/etc/ssl/hospital.pem',
      patient: { table: 'public.patient', key: 'patient_id', label: ['mrn'] },
      anchors: new Map([
        ['public.vital_sign', 'stay_id'],
        ['public."Odd:Name"', 'pid'],
      ]),
      categories: new Map([
        ['public.vital_sign', '生命体征'],
        ['public.document', '病历文书'],
        ['public.document_version', '病历文书'],
      ]),
      links: [
        {
          table: 'public.lab_result',
          column: 'stay_id',
          referencedTable: 'public.icu_stay',
          referencedColumn: 'stay_id',
        },
        { table: 'a."B.c"', column: 'd->"e', referencedTable: 'public.x', referencedColumn: 'y' },
      ],
      exclude: new Set(['public.scratch']),
      capture: { sealSeconds: 2.5, slotBytesMax: null, allowUnlimitedSlot: false },
      writer: null,
      scratch: {
        url: 'sqlserver://drills@drill-server:1433',
        passwordFile: '/etc/chartkeep/secrets/drills',
        caFile: null,
      },
      retention: {
        rules: {
          last: 3,
          calendar: { hourly: 0, daily: 14, weekly: 0, monthly: 0, yearly: 0 },
          windowMs: 14 * 24 * 3_600_000,
          timeZone: 'Asia/Shanghai',
        },
        graceMs: 24 * 3_600_000,
      },
      explain: null,
      drill: { everyDays: null, organisation: null, questions: [], targets: { rpoMs: null, rtoMs: null } },
    })
  })

  it('needs no more than two addresses', () => {
    const { sources } = parse('repository: {url: "file:///r"}\nsources: {icu: {url: "postgres://h/d"}}')

    expect(sources[0]).toMatchObject({ patient: null, links: [], passwordFile: null })
  })

  it('takes the repository from the command line when one is given there', () => {
    expect(parse(WHOLE, 's3://bucket/prefix').repository.url).toBe('s3://bucket/prefix')
    expect(parse('sources: {}', 'file:///r').repository.url).toBe('file:///r')
  })

  it('is missing its repository when neither names one', () => {
    expect(() => parse('sources: {}')).toThrow(/no repository\.url in/)
    expect(() => parse('')).toThrow(/no repository\.url in/)
  })

  it.each([
    [
      'at the top',
      'repository:\n  url: file:///r\nsource:\n  icu: {}\n',
      'line 3: unknown key source: did you mean sources?',
    ],
    ['of the repository', 'repository:\n  ulr: file:///r\n', 'line 2: unknown key ulr: did you mean url?'],
    ['of a source', WHOLE.replace('exclude:', 'exlude:'), 'line 13: unknown key exlude: did you mean exclude?'],
    ['of the patient', WHOLE.replace('label:', 'labels:'), 'line 9: unknown key labels: did you mean label?'],
  ])('with a key that is not known %s is refused with line and nearest key', (_, file, expected) => {
    expect(() => parse(file)).toThrow(`/etc/chartkeep/chartkeep.yaml ${expected}`)
  })

  it('with several mistakes names them all', () => {
    const file =
      'repository: {url: "file:///r"}\nsources:\n  icu:\n    url: 5\n    patient: {table: patient, key: id}\n'

    expect(() => parse(file)).toThrow(
      expect.objectContaining({
        code: 'bad-configuration',
        message: expect.stringContaining('line 4: sources.icu.url'),
        hints: [expect.stringContaining('line 5: sources.icu.patient.table: a table is named schema.table')],
      }),
    )
  })

  it.each([
    ['no YAML', 'repository: {url: "file:///r"', /line \d+ column \d+: not YAML/],
    ['a key twice', 'repository: {url: "file:///r"}\nrepository: {url: "file:///s"}', /line 2 column 1: not YAML/],
    ['a list', '- repository', /line 1: the file: /],
    [
      'a source with a name that no object key can have',
      'sources: {重症: {url: "postgres://h/d"}}',
      /line 1: .*a source is named by/,
    ],
    ['a link without an arrow', WHOLE.replace('->', 'to'), /line 12: sources\.icu\.links\.0: a link is written/],
    [
      'a table in two categories',
      WHOLE.replace('[public.document,', '[public.vital_sign,'),
      /public\.vital_sign of source icu is in two categories: 生命体征, 病历文书/,
    ],
  ])('that is %s is refused', (_, file, expected) => {
    expect(() => parse(file)).toThrow(expected)
  })

  it.each([
    ['a source', WHOLE.replace('chartkeep@', 'chartkeep:geheim@'), 'sources.icu.url holds a password'],
    [
      'a source, as a parameter',
      WHOLE.replace('5432/icu', '5432/icu?password=geheim'),
      'sources.icu.url holds a password',
    ],
    ['the repository', WHOLE.replace('file:///srv', 's3://key:geheim@store'), 'repository.url holds a password'],
  ])('with a password in the URL of %s is refused and does not repeat it', (_, file, expected) => {
    let failure: unknown
    try {
      parse(file)
    } catch (error) {
      failure = error
    }

    expect(failure).toMatchObject({ code: 'bad-configuration', message: expect.stringContaining(expected) })
    expect(JSON.stringify([failure, String(failure)])).not.toContain('geheim')
  })

  it('that is not there says how to make one', async () => {
    const world = fakeWorld({})

    await expect(loadConfiguration({ path: 'chartkeep.yaml', world })).rejects.toMatchObject({
      code: 'bad-configuration',
      hints: expect.arrayContaining([expect.stringContaining('chartkeep discover URL')]),
    })
  })

  it('is read from the file that was named', async () => {
    const world = fakeWorld({ files: { '/a/b.yaml': { text: WHOLE } } })

    expect((await loadConfiguration({ path: '/a/b.yaml', world })).sources[0]?.passwordFile).toBe('/a/secrets/icu')
  })
})

describe('the choice of a source', () => {
  const two = parse(
    'repository: {url: "file:///r"}\nsources: {east: {url: "postgres://h/a"}, west: {url: "postgres://h/b"}}',
  )

  it('needs no name when there is one, and takes the named one of several', () => {
    expect(chooseSource(parse(WHOLE)).name).toBe('icu')
    expect(chooseSource(two, 'west').url).toBe('postgres://h/b')
  })

  it('is refused when it is open, misspelt, or empty', () => {
    expect(() => chooseSource(two)).toThrow(/2 sources are configured/)
    expect(() => chooseSource(two, 'wset')).toThrow(expect.objectContaining({ hints: ['Did you mean west?'] }))
    expect(() => chooseSource(parse('repository: {url: "file:///r"}'))).toThrow(/no source/)
  })
})

describe('the distance of two names', () => {
  it.each([
    ['', '', 0],
    ['', 'abc', 3],
    ['kitten', 'sitting', 3],
    ['flaw', 'lawn', 2],
  ])('%s to %s is the least number of edits', (left, right, edits) => {
    expect(editDistance(left, right)).toBe(edits)
    expect(editDistance(right, left)).toBe(edits)
  })
})
