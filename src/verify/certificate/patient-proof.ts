/**
 * The proof of one patient: rows and salts, and the way from them to the root of their table, to the certificate's root,
 * to the ledger. Of anybody else it holds digests, and how many rows lie beside: separators and salts keep keys and
 * values apart from what is published (src/repository/tree/digest.ts).
 *
 *     rows, salt → group digest → leaf digest → node … → root of the table → manifest → ledger
 *                                                            └→ tables of the certificate → certificate.json
 *
 * It shows that these rows were there, unchanged; that there were no more is shown by the certificate's counts alone.
 */
import { createHmac } from 'node:crypto'
import { Failure } from '../../errors.ts'
import { canonicalBytes } from '../../repository/canonical-json.ts'
import { inclusionProof } from '../../repository/ledger/proof.ts'
import type { Manifest, TableManifest } from '../../repository/manifest.ts'
import type { Repository } from '../../repository/repository.ts'
import { tableSpec } from '../../repository/table-spec.ts'
import { TreeDigester } from '../../repository/tree/digest.ts'
import { compareBytes, encodeKey } from '../../repository/tree/key.ts'
import type { TreeEntry, TreeNode } from '../../repository/tree/node-codec.ts'
import { type Rows, rowAnchor } from '../../repository/tree/rows.ts'
import { TreeReader } from '../../repository/tree/tree-reader.ts'
import { rootEntry } from '../../repository/tree/tree-root.ts'
import { type Closure, patientClosure } from '../../restore/patient/closure.ts'
import { fieldNumber } from '../../restore/patient/references.ts'
import { fieldOf } from '../../restore/patient/stored-row.ts'
import { StoredRows } from '../../restore/patient/stored-rows.ts'
import type { Certificate, TableFacts } from './document.ts'
import { hexOf, type LeafPath, tablePath } from './merkle-tables.ts'

/** The patient's rows in one leaf: a run of lines, with what leads from them to the root. */
export interface ProvenGroup {
  /** Bytes of the table's file, half-open. */
  readonly start: number
  readonly end: number
  readonly rows: number
  /** Hex. */
  readonly salt: string
  /** Among the groups of the leaf, and the way to the leaf's digest. */
  readonly leaf: LeafPath
  /** From the leaf's parent to the root: which of `nodes`, and which child of it. */
  readonly nodes: readonly { readonly node: number; readonly child: number }[]
}

export interface ProvenTable {
  readonly facts: TableFacts
  /** Among the tables of the certificate. */
  readonly tables: LeafPath
  readonly columns: readonly string[]
  readonly file: string
  readonly groups: readonly ProvenGroup[]
}

export interface ProvenNode {
  readonly level: number
  readonly children: readonly { readonly digest: string; readonly rows: number; readonly separator: string }[]
}

export interface PatientProof {
  readonly format: 1
  readonly kind: 'chartkeep patient proof'
  readonly certificate: string
  readonly tablesRoot: string
  readonly snapshotId: string
  /** Pseudonym. */
  readonly patient: string
  readonly tables: readonly ProvenTable[]
  readonly nodes: readonly ProvenNode[]
  /** Tables with rows of the patient that cannot be shown without others', or that no way leads to. */
  readonly leftOut: readonly { readonly table: string; readonly reason: string }[]
}

/** @returns the proof and its files of rows. @throws bad-usage when nobody is there; repository-damaged, store-… */
export async function provePatient(
  repository: Repository,
  manifest: Manifest,
  certificate: Certificate,
  patient: { readonly key: Buffer; readonly pseudonym: string },
): Promise<{ readonly proof: PatientProof; readonly files: Map<string, Uint8Array> }> {
  const stored = new StoredRows(manifest, repository.chunkReader(), repository.keyring.secrets)
  const closure = await patientClosure(stored, patient.key)
  const withRows = closure.tables.filter(({ rows }) => rows.length > 0)
  if (withRows.length === 0) {
    throw new Failure('bad-usage', `snapshot ${manifest.snapshotId} has no such patient`, {
      hints: ['`chartkeep patient find TEXT --at SNAPSHOT` finds patients by key or label.'],
    })
  }
  const collector = new ProofCollector(repository)
  const tables: ProvenTable[] = []
  const files = new Map<string, Uint8Array>()
  for (const { table, rows } of withRows.filter((one) => one.table.anchor !== null)) {
    const anchorField = fieldNumber(table, table.anchor!)
    const anchors = new Map(
      rows.map((row) => [fieldOf(row, anchorField).toString('latin1'), fieldOf(row, anchorField)]),
    )
    const encoded = [...anchors.values()].map((field) => encodeKey([field])).sort(compareBytes)
    const { groups, bytes } = await collector.prove(table, encoded)
    const index = certificate.tables.findIndex(({ name }) => name === table.name)
    const file = `rows/${String(tables.length + 1).padStart(3, '0')}.copy`
    files.set(file, bytes)
    const columns = table.columns.map(({ name }) => name)
    tables.push({
      facts: certificate.tables[index]!,
      tables: tablePath(certificate.tables, index),
      columns,
      file,
      groups,
    })
  }
  const proof: PatientProof = {
    format: 1,
    kind: 'chartkeep patient proof',
    certificate: certificate.number,
    tablesRoot: certificate.tablesRoot,
    snapshotId: manifest.snapshotId,
    patient: patient.pseudonym,
    tables,
    nodes: collector.nodes,
    leftOut: leftOutOf(closure),
  }
  files.set('patient.json', canonicalBytes(proof))
  return { proof, files }
}

function leftOutOf({ tables, leftOut }: Closure): { table: string; reason: string }[] {
  const unanchored = tables.filter(({ table, rows }) => table.anchor === null && rows.length > 0)
  const reason = 'its rows are not kept by patient, so that they cannot be shown without those of others'
  return [...unanchored.map(({ table }) => ({ table: table.name, reason })), ...leftOut]
}

class ProofCollector {
  readonly nodes: ProvenNode[] = []
  readonly #repository: Repository
  readonly #numbers = new Map<string, number>()

  constructor(repository: Repository) {
    this.#repository = repository
  }

  /** @param anchors encoded, in order */
  async prove(table: TableManifest, anchors: readonly Uint8Array[]): Promise<{ groups: ProvenGroup[]; bytes: Buffer }> {
    const { secrets } = this.#repository.keyring
    const spec = tableSpec(table)
    const reader = new TreeReader(spec, this.#repository.chunkReader(), secrets)
    const digester = new TreeDigester(secrets, spec.name)
    const groups: ProvenGroup[] = []
    const lines: Buffer[] = []
    let bytes = 0
    for await (const { entry, way } of this.#leaves(
      reader,
      rootEntry(table.rows),
      table.rows.level,
      anchors,
      [],
      null,
    )) {
      const rows = await reader.readLeaf(entry)
      const digests = digester.groupDigests(rows, 0, rows.count)
      for (const { index, start, end, anchor } of groupsOf(rows)) {
        if (!anchors.some((wanted) => compareBytes(wanted, anchor) === 0)) continue
        const text = Buffer.from(rows.text.subarray(rows.textStart[start], rows.textStart[end]))
        const path = inclusionProof(digests, index, digests.length).map(hexOf)
        groups.push({
          start: bytes,
          end: bytes + text.length,
          rows: end - start,
          salt: hexOf(digester.salt(anchor)),
          leaf: { index, size: digests.length, path },
          nodes: way,
        })
        lines.push(text)
        bytes += text.length
      }
    }
    return { groups, bytes: Buffer.concat(lines) }
  }

  /** Leaves that may hold rows of the anchors, with the way up from each. */
  async *#leaves(
    reader: TreeReader,
    entry: TreeEntry,
    level: number,
    anchors: readonly Uint8Array[],
    above: readonly ProvenGroup['nodes'][number][],
    after: Uint8Array | null,
  ): AsyncGenerator<{ entry: TreeEntry; way: ProvenGroup['nodes'] }> {
    const node = await reader.readNode(entry, level)
    let previous = after
    for (const [child, at] of node.children.entries()) {
      if (anchors.some((anchor) => mayHold(anchor, previous, at.lastKey))) {
        const way = [{ node: this.#number(reader, node, entry), child }, ...above]
        if (level === 1) yield { entry: at, way }
        else yield* this.#leaves(reader, at, level - 1, anchors, way, previous)
      }
      previous = at.lastKey
    }
  }

  #number(reader: TreeReader, { level, children }: TreeNode, entry: TreeEntry): number {
    const id = `${reader.spec.name} ${hexOf(entry.digest)}`
    const known = this.#numbers.get(id)
    if (known !== undefined) return known
    const { separatorKey } = this.#repository.keyring.secrets
    const name = Buffer.concat([Buffer.from(reader.spec.name), Buffer.of(0)])
    const separator = (key: Uint8Array) => createHmac('sha256', separatorKey).update(name).update(key).digest('hex')
    this.nodes.push({
      level,
      children: children.map(({ digest, rows, lastKey }) => ({
        digest: hexOf(digest),
        rows,
        separator: separator(lastKey),
      })),
    })
    this.#numbers.set(id, this.nodes.length - 1)
    return this.nodes.length - 1
  }
}

/** Whether keys in `(after, lastKey]` may begin with the anchor. */
function mayHold(anchor: Uint8Array, after: Uint8Array | null, lastKey: Uint8Array): boolean {
  if (compareBytes(anchor, lastKey) > 0) return false
  return after === null || compareBytes(anchor, after.subarray(0, anchor.length)) >= 0
}

function* groupsOf(rows: Rows): Generator<{ index: number; start: number; end: number; anchor: Buffer }> {
  let index = 0
  let start = 0
  for (let row = 1; row <= rows.count; row += 1) {
    if (row < rows.count && rowAnchor(rows, row).equals(rowAnchor(rows, start))) continue
    yield { index, start, end: row, anchor: rowAnchor(rows, start) }
    index += 1
    start = row
  }
}
