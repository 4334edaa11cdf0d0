/**
 * What the stream says of a table, before the changes that are in this form: a Relation message. Names are kept as the
 * bytes that came, one character each, because the stream speaks the database's own encoding.
 */
import type { StreamTable } from '../../change-contract.ts'

export interface Relation {
  readonly oid: number
  /** Schema and name, quoted where the database would quote them; the characters are bytes. */
  readonly rawName: string
  /** The characters are bytes. */
  readonly rawColumns: readonly string[]
  /** 1 for each column that is part of the replica identity. */
  readonly keyFlags: Uint8Array
  /** relreplident: `d`, `n`, `f` or `i`. */
  readonly identity: string
  /** Null while it has not been asked for, and for a table that nobody wants. */
  table: StreamTable | null
}

/** @param at behind the kind, and behind the transaction's number if there is one */
export function readRelation(bytes: Buffer, at: number, reserved: ReadonlySet<string>): Relation {
  const oid = bytes.readUInt32BE(at)
  const schema = readText(bytes, at + 4)
  const name = readText(bytes, schema.end)
  const identity = String.fromCharCode(bytes[name.end]!)
  const count = bytes.readUInt16BE(name.end + 1)
  const rawColumns: string[] = []
  const keyFlags = new Uint8Array(count)
  let from = name.end + 3
  for (let column = 0; column < count; column += 1) {
    keyFlags[column] = bytes[from]! & 1
    const read = readText(bytes, from + 1)
    rawColumns.push(read.text)
    from = read.end + 8
  }
  const quoted = [schema.text || 'pg_catalog', name.text].map((part) => quoteAsServer(part, reserved))
  return { oid, rawName: quoted.join('.'), rawColumns, keyFlags, identity, table: null }
}

/** quote_ident() for bytes: what it looks at is ASCII in every encoding of a server. */
export function quoteAsServer(name: string, reserved: ReadonlySet<string>): string {
  const isPlain = /^[a-z_][a-z0-9_]*$/.test(name) && !reserved.has(name)
  return isPlain ? name : `"${name.replaceAll('"', '""')}"`
}

export interface TextRead {
  readonly text: string
  /** Behind the zero that ends it. */
  readonly end: number
}

export function readText(bytes: Buffer, at: number): TextRead {
  const zero = bytes.indexOf(0, at)
  return { text: bytes.toString('latin1', at, zero), end: zero + 1 }
}
