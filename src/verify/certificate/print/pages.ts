/** The pages of a certificate, from its data alone: whatever is printed stands in certificate.json. */

import type { Scenario } from '../../drill/drill-report.ts'
import { SCENARIO_WORDS } from '../../drill/words.ts'
import {
  bullets,
  type Column,
  callout,
  code,
  cover,
  dataTable,
  digest,
  digestCell,
  heading,
  keyValues,
  note,
  onNextPage,
  paragraph,
  qr,
  sideBySide,
  signatures,
  type Tone,
} from '../../report/blocks.ts'
import { formatBytes, formatCount, type Language } from '../../report/language.ts'
import { NOT_KEPT_SENTENCES } from '../../report/not-kept-sentences.ts'
import type { PdfNode } from '../../report/pdf-node.ts'
import { sayIn } from '../../report/sentences.ts'
import { fill } from '../../report/words.ts'
import type { Certificate, CertificateException, Verdict } from '../document.ts'
import { authenticity, completeness } from './counts.ts'
import { Paper } from './paper.ts'
import { declaration, statements } from './statements.ts'
import {
  EXCEPTION_WORDS,
  FAILED_SENTENCES,
  LIMITS,
  METHOD,
  RULE_WORDS,
  VERDICT_WORDS,
  CERTIFICATE_WORDS as W,
} from './words.ts'

const TONES: Readonly<Record<Verdict, Tone>> = {
  unqualified: 'good',
  qualified: 'warning',
  adverse: 'bad',
  disclaimer: 'bad',
}
const PATIENTS_PRINTED = 12

export function certificatePages(certificate: Certificate, sha256: string, language: Language): PdfNode[] {
  const paper = new Paper(certificate, sha256, language)
  return [
    ...front(paper),
    ...conclusion(paper),
    ...onNextPage(scope(paper)),
    ...method(paper),
    ...authenticity(paper),
    ...completeness(paper),
    ...usability(paper),
    ...safety(paper),
    ...exceptions(paper),
    ...limits(paper),
    ...onNextPage(signing(paper)),
  ]
}

function front(paper: Paper): PdfNode[] {
  const { number, organisation, system, subject, baseline, end, issuedAt } = paper.certificate
  const other = paper.language === 'zh' ? 'en' : 'zh'
  return [
    cover({
      title: paper.word('title'),
      subtitle: W.title[other],
      organisation,
      facts: [
        [paper.word('number'), code(number)],
        [paper.word('system'), system],
        [paper.word('database'), `${subject.databaseName} (${subject.engine} ${subject.serverVersion})`],
        [paper.word('baseline'), paper.moment(baseline.takenAt)],
        [paper.word('end'), paper.moment(end.takenAt)],
        [paper.word('issued'), paper.moment(issuedAt)],
        [paper.word('dataFile'), digestCell(paper.sha256)],
      ],
    }),
  ]
}

function conclusion(paper: Paper): PdfNode[] {
  const { opinion, tablesRoot, ledger, exceptions, baseline, end, period } = paper.certificate
  const because = opinion.because.map((rule) => `· ${RULE_WORDS[rule][paper.language]}`)
  return [
    heading(paper.word('conclusion')),
    callout(TONES[opinion.verdict], VERDICT_WORDS[opinion.verdict][paper.language], because),
    paragraph(declaration(paper)),
    statements(paper),
    keyValues(
      [
        [paper.word('rowsThen'), formatCount(baseline.rows)],
        [paper.word('rowsNow'), formatCount(end.rows)],
        [paper.word('transactions'), formatCount(period.transactions)],
        [paper.word('openExceptions'), formatCount(exceptions.length)],
        ['RTO', newestDrill(paper, 'rtoSeconds')],
        ['RPO', newestDrill(paper, 'rpoSeconds')],
      ],
      2,
    ),
    sideBySide([
      {
        stack: [
          digest(paper.word('tablesRoot'), tablesRoot),
          digest(`${paper.word('ledgerRoot')} (${ledger.size})`, Buffer.from(ledger.root, 'base64').toString('hex')),
        ],
        width: '*',
      },
      { ...qr(`sha256:${paper.sha256}`), width: 'auto' },
    ]),
  ]
}

function scope(paper: Paper): PdfNode[] {
  const { baseline, end, period, tables, notCaptured } = paper.certificate
  const facts = { snapshots: period.snapshots, told: period.toldSteps }
  const columns: Column[] = [
    { title: paper.word('category') },
    { title: paper.word('table'), width: '*' },
    paper.right('rowsThen'),
    paper.right('rowsNow'),
    paper.right('told'),
  ]
  const rows = tables.map((table) => [
    table.category,
    code(table.name),
    table.baseline === null ? '–' : formatCount(table.baseline.rows),
    table.end === null ? '–' : formatCount(table.end.rows),
    paper.word(table.isTold ? 'yes' : 'no'),
  ])
  return [
    heading(paper.word('scope')),
    keyValues([
      [paper.word('baseline'), `${paper.moment(baseline.takenAt)}\n${baseline.snapshotId}`],
      [paper.word('end'), `${paper.moment(end.takenAt)}\n${end.snapshotId}`],
    ]),
    note(fill(paper.word('continuity'), facts)),
    dataTable(columns, rows),
    ...(notCaptured.length === 0 ? [] : [notCapturedList(paper)]),
  ]
}

function notCapturedList({ certificate, language }: Paper): PdfNode {
  const said = (text: string) => sayIn(language, text, NOT_KEPT_SENTENCES)
  return bullets(certificate.notCaptured.map((one) => `${said(one.kind)} ${said(one.name)}: ${said(one.reason)}`))
}

function method(paper: Paper): PdfNode[] {
  return [heading(paper.word('method')), ...METHOD.map((text) => paragraph(text[paper.language]))]
}

function usability(paper: Paper): PdfNode[] {
  const { restoredCopy, sampleSeed } = paper.certificate
  const copy = restoredCopy
    ? fill(paper.word('copy'), { ...restoredCopy, rows: formatCount(restoredCopy.rows) })
    : paper.word('noCopy')
  return [
    heading(paper.word('usability')),
    paragraph(copy),
    statements(paper),
    note(fill(paper.word('seed'), { seed: sampleSeed })),
  ]
}

function safety(paper: Paper): PdfNode[] {
  const { copies, drills, restores } = paper.certificate
  const facts = {
    packs: formatCount(copies.packs),
    bytes: formatBytes(copies.bytes),
    neverProved: formatCount(copies.neverProved),
    oldest: copies.oldestProof === null ? '–' : paper.moment(copies.oldestProof),
    wrappers: copies.wrappers,
  }
  const columns: Column[] = [
    { title: paper.word('drill'), width: '*' },
    { title: paper.word('result') },
    { title: 'RTO', align: 'right' },
    { title: 'RPO', align: 'right' },
  ]
  const rows = drills.map((one) => [
    `${paper.moment(one.endedAt)}  ${scenarioName(one.scenario, paper.language)}`,
    paper.word(one.passed ? 'passed' : 'failed'),
    paper.span(one.rtoSeconds),
    paper.span(one.rpoSeconds),
  ])
  return [
    heading(paper.word('safety')),
    paragraph(fill(paper.word('copies'), facts)),
    heading(paper.word('recovery')),
    rows.length === 0 ? paragraph(paper.word('noDrills')) : dataTable(columns, rows),
    paragraph(fill(paper.word('restores'), { count: restores.length })),
    ...(restores.length === 0 ? [] : [bullets(restores.map((one) => `${one.kind} ${one.id}: ${one.authorisation}`))]),
  ]
}

/** As the drill's own report calls it, where this version knows it. */
function scenarioName(scenario: string, language: Language): string {
  return Object.hasOwn(SCENARIO_WORDS, scenario) ? SCENARIO_WORDS[scenario as Scenario][language] : scenario
}

/** But for names, which are the same in every language. */
function detailOf({ class: kind, detail }: CertificateException, language: Language): string {
  return kind === 'demonstration-failed' ? sayIn(language, detail, FAILED_SENTENCES) : detail
}

function exceptions(paper: Paper): PdfNode[] {
  const { exceptions } = paper.certificate
  const columns: Column[] = [
    { title: paper.word('id') },
    { title: paper.word('kind'), width: 84 },
    { title: paper.word('table'), width: '*' },
    { title: paper.word('month') },
    paper.right('count'),
    { title: paper.word('patients'), width: 118 },
  ]
  const rows = exceptions.map((one) => {
    const more = one.patients.length > PATIENTS_PRINTED || !one.patientsComplete ? [paper.word('andMore')] : []
    return [
      one.id,
      EXCEPTION_WORDS[one.class][paper.language],
      [one.category, one.table, detailOf(one, paper.language)]
        .filter((part) => part !== null && part !== '')
        .join('\n'),
      one.month ?? '',
      one.count === 0 ? '' : formatCount(one.count),
      { ...code([...one.patients.slice(0, PATIENTS_PRINTED), ...more].join('\n')), fontSize: 7 },
    ]
  })
  const body = rows.length === 0 ? paragraph(paper.word('noExceptions')) : dataTable(columns, rows)
  return [heading(paper.word('exceptions')), body]
}

function limits(paper: Paper): PdfNode[] {
  return [
    heading(paper.word('limits')),
    paragraph(declaration(paper)),
    bullets(LIMITS.map((text) => text[paper.language])),
  ]
}

function signing(paper: Paper): PdfNode[] {
  const { organisation, ledger, signers } = paper.certificate
  const places = [
    { role: paper.word('vendor') },
    { role: paper.word('reviewer') },
    ...(['informatics', 'icu', 'records', 'acceptance'] as const).map((name) => {
      return { role: paper.word(name), organisation, withSeal: true }
    }),
  ]
  return [
    heading(paper.word('signing')),
    signatures(places, paper.language),
    heading(paper.word('annex')),
    paragraph(paper.word('verifyHow')),
    code(ledger.verifierKey),
    ...signers.map(({ name, publicKey }) => code(`${name}  ${publicKey}`)),
    digest(paper.word('dataFile'), paper.sha256),
  ]
}

function newestDrill(paper: Paper, name: 'rtoSeconds' | 'rpoSeconds'): string {
  return paper.span(paper.certificate.drills.findLast(({ passed }) => passed)?.[name] ?? null)
}
