/** What an S3 address may say, and that a wrong one is refused without being repeated. */
import { describe, expect, test } from 'vitest'
import { Failure } from '../../../src/errors.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { parseS3Address } from '../../../src/repository/store/s3-address.ts'
import { codeOf } from './store-suite.ts'

describe('an S3 address', () => {
  test('with an endpoint addresses by path, in us-east-1, at the root of the bucket', () => {
    expect(parseS3Address('s3://bucket?endpoint=http://127.0.0.1:9000')).toMatchObject({
      bucket: 'bucket',
      prefix: '',
      host: '127.0.0.1',
      port: 9000,
      isSecure: false,
      region: 'us-east-1',
      isPathStyle: true,
    })
  })

  test('without an endpoint is at Amazon, over https, addressed by host', () => {
    const address = parseS3Address('s3://my.bucket/a/b?region=cn-north-1')

    expect(address).toMatchObject({ bucket: 'my.bucket', prefix: 'a/b/', isSecure: true, isPathStyle: false })
    expect(address).toMatchObject({ region: 'cn-north-1', host: 's3.amazonaws.com', port: 0 })
  })

  test.each([
    ['s3://bucket/a?endpoint=https://[::1]:9000&style=host', { host: '::1', isPathStyle: false, isSecure: true }],
    ['s3://bucket//a///b//', { prefix: 'a/b/' }],
    ['s3://bucket?style=path', { isPathStyle: true, host: 's3.amazonaws.com' }],
  ])('%s is understood', (url, expected) => {
    expect(parseS3Address(url)).toMatchObject(expected)
  })

  test('takes the region of the settings before its own', () => {
    expect(parseS3Address('s3://bucket?region=one', 'two').region).toBe('two')
  })

  test.each([
    's3://',
    's3://UPPER_CASE/x',
    's3://b',
    's3://bucket/a b',
    's3://bucket/~probe',
    's3://bucket/%2e%2e/x+y',
    's3://bucket?endpoint=127.0.0.1:9000',
    's3://bucket?endpoint=ftp://127.0.0.1',
    's3://bucket?endpoint=http://127.0.0.1/path',
    's3://bucket?endpoint=http://_under.score',
    's3://bucket?style=virtual',
    's3://bucket?endpont=http://127.0.0.1',
  ])('%s is refused', async (url) => {
    expect(await codeOf(openStore({ url, accessKey: 'a', secretKey: 'b' }))).toBe('bad-configuration')
  })

  test.each([
    's3://planted:planted@bucket/x',
    's3://bucket?endpoint=http://planted:planted@127.0.0.1',
    's3://bucket?secretKey=planted',
  ])('with credentials in it (%#) is refused, and they are not repeated', (url) => {
    let thrown: unknown
    try {
      parseS3Address(url)
    } catch (error) {
      thrown = error
    }

    expect(thrown).toBeInstanceOf(Failure)
    expect(`${String(thrown)} ${JSON.stringify(thrown)}`).not.toContain('planted')
  })

  test('without credentials in the settings fails before anything is sent', async () => {
    expect(await codeOf(openStore({ url: 's3://bucket?endpoint=http://127.0.0.1:1' }))).toBe('missing-secret')
  })
})
