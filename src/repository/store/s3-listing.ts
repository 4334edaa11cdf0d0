/**
 * One page of an S3 listing, read so that half a page can never pass for the end of the list (F17).
 *
 * A lenient XML parser takes a cut document for a short one, and a missing IsTruncated for "no". Prune would then delete
 * what it did not see. So the document must end as it began, must say whether there is more, and must hold as many
 * entries as it says.
 */
import { Failure } from '../../errors.ts'

export interface ListingPage {
  /** S3 keys with their prefix, as the store ordered them. */
  readonly objects: readonly { readonly objectName: string; readonly bytes: number }[]
  /** Null on the last page. */
  readonly nextToken: string | null
}

/** @throws store-lied when the page is cut or disagrees with itself */
export function parseListingPage(xml: string): ListingPage {
  const whole = /<ListBucketResult[\s>][\s\S]*<\/ListBucketResult>\s*$/.test(xml)
  if (!whole) throw lied('is not a whole document')

  const entries = xml.match(/<Contents>[\s\S]*?<\/Contents>/g) ?? []
  const opened = xml.match(/<Contents>/g) ?? []
  const head = xml.replace(/<Contents>[\s\S]*?<\/Contents>/g, '')
  const count = textOf(head, 'KeyCount')
  if (opened.length !== entries.length) throw lied('has an entry that does not end')
  if (count !== null && Number(count) !== entries.length) throw lied(`has ${entries.length} entries and says ${count}`)

  return { objects: entries.map(parseEntry), nextToken: parseNextToken(head) }
}

function parseEntry(xml: string): { objectName: string; bytes: number } {
  const objectName = textOf(xml, 'Key')
  const size = textOf(xml, 'Size')
  if (objectName === null || objectName === '' || size === null || !/^\d+$/.test(size)) {
    throw lied('has an entry without key or size')
  }
  return { objectName, bytes: Number(size) }
}

function parseNextToken(head: string): string | null {
  const isTruncated = textOf(head, 'IsTruncated')
  if (isTruncated === 'false') return null
  if (isTruncated !== 'true') throw lied('does not say whether there is more')
  const token = textOf(head, 'NextContinuationToken')
  if (token === null || token === '') throw lied('says that there is more, and not where')
  return token
}

function textOf(xml: string, element: string): string | null {
  const found = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)
  return found?.[1] === undefined ? null : decodeEntities(found[1])
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decodeEntities(text: string): string {
  return text.replace(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (entity, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal) return String.fromCodePoint(Number(decimal))
    return named[name] ?? entity
  })
}

function lied(what: string): Failure {
  return new Failure('store-lied', `a page of the listing ${what}`)
}
