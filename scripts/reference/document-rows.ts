/**
 * Clinical documents with their versions and signatures. What is signed is the digest of the version's bytes, so that
 * a signed document whose content was changed can be told from one that was not.
 */
import { createHash } from 'node:crypto'
import { type DocumentKind, documentKinds, documentText, revisedText } from './document-text.ts'
import { HOUR, hourOfDay, MINUTE, zonedText } from './moment.ts'
import { findingsText } from './phrases.ts'
import { doctorOf, type StayState } from './stay.ts'
import { copyLine, copyText, NULL, type RowSink } from './tables.ts'

const reasons = ['补充检查结果', '修改错别字', '上级医师修改', '补充诊断依据']
const SIGNATURE_BYTES = 64

export function writeDocuments(sink: RowSink, stay: StayState, from: number, until: number): void {
  const hour = hourOfDay(from)
  if (stay.inAt >= from && stay.inAt < until) {
    writeDocument(sink, stay, documentKinds.admission, stay.inAt + 40 * MINUTE)
    writeDocument(sink, stay, documentKinds.first, stay.inAt + 100 * MINUTE)
  }
  if (hour === 9) writeDocument(sink, stay, documentKinds.round, from + stay.streams.document.below(until - from))
  if (hour === 16) writeDocument(sink, stay, documentKinds.progress, from + stay.streams.document.below(until - from))
  if (!stay.isCurrent && stay.outAt >= from && stay.outAt <= until && stay.outcome === '转出') {
    writeDocument(sink, stay, documentKinds.discharge, stay.outAt - 30 * MINUTE)
  }
}

interface Version {
  readonly savedAt: number
  readonly content: string
  readonly digest: string
}

function writeDocument(sink: RowSink, stay: StayState, kind: DocumentKind, createdAt: number): void {
  if (createdAt >= stay.shape.end) return
  const random = stay.streams.document
  const documentId = random.uuid()
  const author = doctorOf(stay, createdAt)
  const versions = makeVersions(stay, kind, createdAt)
  const last = versions.at(-1) as Version
  const signedAt = last.savedAt + random.within(3, 90) * MINUTE
  const isSigned = signedAt < stay.shape.end && !random.chance(0.01)
  const isArchived = isSigned && stay.outAt + 72 * HOUR < stay.shape.end
  const status = isArchived
    ? '已归档'
    : isSigned
      ? '已签名'
      : last.savedAt > stay.shape.end - 2 * HOUR
        ? '草稿'
        : '待审签'
  const updatedAt = isSigned ? signedAt : last.savedAt

  for (const [index, version] of versions.entries()) {
    const reason = index === 0 ? NULL : random.pick(reasons)
    sink.write(
      'public.document_version',
      copyLine(
        documentId,
        index + 1,
        zonedText(version.savedAt),
        author,
        reason,
        bytea(version.digest),
        copyText(version.content),
      ),
    )
  }
  sink.write(
    'public.clinical_document',
    copyLine(
      documentId,
      stay.stayId,
      stay.patient.patientId,
      kind.kind,
      kind.title,
      status,
      versions.length,
      author,
      zonedText(createdAt),
      zonedText(updatedAt),
      bytea(last.digest),
      copyText(last.content),
    ),
  )
  if (isSigned) writeSignatures(sink, stay, documentId, versions.length, author, signedAt)
}

/** One version to three, two on average; saving ends with the data. */
function makeVersions(stay: StayState, kind: DocumentKind, createdAt: number): Version[] {
  const random = stay.streams.document
  const wanted = 1 + (random.chance(0.75) ? 1 : 0) + (random.chance(0.25) ? 1 : 0)
  let content = documentText(stay, random, kind, createdAt)
  let savedAt = createdAt
  const versions = [{ savedAt, content, digest: sha256(content) }]
  while (versions.length < wanted) {
    savedAt += random.within(5, 120) * MINUTE
    if (savedAt >= stay.shape.end) break
    content = revisedText(content, findingsText(stay, random, 2), savedAt)
    versions.push({ savedAt, content, digest: sha256(content) })
  }
  return versions
}

function writeSignatures(
  sink: RowSink,
  stay: StayState,
  documentId: string,
  version: number,
  author: number,
  signedAt: number,
): void {
  const random = stay.streams.document
  const write = (signer: number, level: string, second: number): void => {
    sink.write(
      'public.document_signature',
      copyLine(
        random.uuid(),
        documentId,
        version,
        signer,
        level,
        zonedText(second),
        bytea(random.hex(SIGNATURE_BYTES)),
      ),
    )
  }
  write(author, '书写医师', signedAt)
  const reviewedAt = signedAt + random.within(10, 300) * MINUTE
  if (reviewedAt < stay.shape.end && random.chance(0.3)) write(stay.attendingId, '上级医师', reviewedAt)
}

export function sha256(content: string): string {
  return createHash('sha256').update(content).digest('hex')
}

function bytea(hex: string): string {
  return `\\\\x${hex}`
}
