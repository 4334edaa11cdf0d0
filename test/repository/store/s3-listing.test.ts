/** A page of a listing is read whole or refused: no cut of it passes for a shorter one (F17). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { parseListingPage } from '../../../src/repository/store/s3-listing.ts'

const page = `<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><Prefix>p/</Prefix>
<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>
<Contents><Key>p/a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;00&quot;</ETag><Size>1</Size></Contents>
<Contents><Key>p/b&amp;&#x63;&#100;</Key><Size>22</Size><StorageClass>STANDARD</StorageClass></Contents>
<NextContinuationToken>to&quot;ken</NextContinuationToken></ListBucketResult>
`

function codeOfPage(xml: string): string {
  try {
    parseListingPage(xml)
    return 'none'
  } catch (error) {
    if (error instanceof Failure) return error.code
    throw error
  }
}

describe('a page of a listing', () => {
  test('gives its objects in order, their sizes, and where to go on', () => {
    expect(parseListingPage(page)).toEqual({
      objects: [
        { objectName: 'p/a', bytes: 1 },
        { objectName: 'p/b&cd', bytes: 22 },
      ],
      nextToken: 'to"ken',
    })
  })

  test('that is cut at any byte is refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: page.trimEnd().length - 1 }), (length) => {
        expect(codeOfPage(page.slice(0, length))).toBe('store-lied')
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['with an entry missing', page.replace(/<Contents><Key>p\/a[\s\S]*?<\/Contents>/, '')],
    ['without IsTruncated', page.replace('<IsTruncated>true</IsTruncated>', '')],
    ['with more to come and no token', page.replace(/<NextContinuationToken>.*<\/NextContinuationToken>/, '')],
    ['with an entry without a size', page.replace('<Size>22</Size>', '')],
    ['with a size that is no number', page.replace('<Size>22</Size>', '<Size>2e1</Size>')],
    ['with an entry without a key', page.replace('<Key>p/a</Key>', '')],
    ['with an entry that does not end', page.replace('</Size></Contents>', '</Size>')],
    ['that is some other document', '<html><body>IsTruncated false</body></html>'],
    ['that is empty', ''],
  ])('%s is refused', (_name, xml) => {
    expect(codeOfPage(xml)).toBe('store-lied')
  })

  test('of nothing is an end, when it says so', () => {
    const empty = '<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>'

    expect(parseListingPage(empty)).toEqual({ objects: [], nextToken: null })
  })
})
