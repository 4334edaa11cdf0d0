/** What the service makes of an opinion: an alarm at night is for what is wrong with the data. */
import { describe, expect, it } from 'vitest'
import { resultOf } from '../../../src/service/kinds/certificate.ts'
import type { Certificate } from '../../../src/verify/certificate/document.ts'

type Opinion = Certificate['opinion']

describe('a certificate of the service', () => {
  it.each<[string, Opinion['verdict'], Opinion['because'], readonly string[]]>([
    ['passed', 'unqualified', [], []],
    ['passed', 'qualified', ['no-drill'], ['warning']],
    ['failed', 'qualified', ['unexplained'], ['error']],
    ['failed', 'qualified', ['unexplained', 'no-drill'], ['error']],
    ['failed', 'adverse', ['unexplained-share', 'no-drill'], ['error']],
    ['inconclusive', 'disclaimer', ['not-demonstrated', 'no-drill'], ['error']],
  ])('is %s when its opinion is %s because of %j', (expected, verdict, because, severities) => {
    const result = resultOf({ opinion: { verdict, because }, exceptions: [], tables: [] }, 1)

    expect(result.verdict).toBe(expected)
    expect(result.findings.map(({ severity }) => severity)).toEqual(severities)
  })
})
