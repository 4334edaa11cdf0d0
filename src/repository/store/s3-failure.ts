/**
 * What an S3 store's answer, or its silence, means to somebody who keeps a repository.
 *
 * Of an answer only the status, the S3 code and the request's id go on: the XML of a refused signature repeats the
 * access key and what was signed. The codes are those of Amazon's list, and a few that others add for a full disk.
 */
import { Failure, type FailureCode } from '../../errors.ts'
import { systemCode } from './directory-failure.ts'
import type { S3Answer } from './s3-wire.ts'

const codesOfFull = [
  'QuotaExceeded',
  'InsufficientStorage',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'ServiceQuotaExceeded',
]
/** The request did not arrive as it was sent, or could not be served now: sending it again is right. */
const codesPassing = [
  'BadDigest',
  'XAmzContentSHA256Mismatch',
  'IncompleteBody',
  'RequestTimeout',
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'OperationAborted',
  'ConditionalRequestConflict',
]
const certificateErrors = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]

/** The S3 code of an answer that says no; empty when there is none, as in every answer to HEAD. */
export function s3Code(answer: S3Answer): string {
  const text = Buffer.from(answer.body).toString('utf8')
  if (!text.includes('<Error>') && !text.includes('<Error ')) return ''
  return /<Code>([A-Za-z0-9._-]{1,80})<\/Code>/.exec(text)?.[1] ?? ''
}

/** `doing`: for example `write packs/ab`. For every answer that its caller did not expect. */
export function failureOfAnswer(answer: S3Answer, doing: string, url: string): Failure {
  const code = s3Code(answer)
  const requestId = answer.headers['x-amz-request-id']
  const failureCode = codeOfAnswer(answer.status, code)
  return new Failure(failureCode, `cannot ${doing} in ${url}: the store says ${answer.status} ${code}`.trimEnd(), {
    hints: hintsOf(code, failureCode),
    context: {
      status: answer.status,
      s3Code: code,
      ...(typeof requestId === 'string' ? { requestId: requestId.slice(0, 100) } : {}),
    },
  })
}

export function failureOfConnection(error: unknown, url: string): Failure {
  const code = systemCode(error)
  const isCertificate = certificateErrors.includes(code)
  return new Failure(isCertificate ? 'store-refused' : 'store-unreachable', `no answer from ${url}: ${code}`, {
    hints: isCertificate
      ? ["Give the certificate of the authority that signed the store's, in PEM form."]
      : ['Look whether the store runs, and whether its host name and port are right.'],
    context: { errno: code },
    cause: error,
  })
}

function codeOfAnswer(status: number, code: string): FailureCode {
  if (codesOfFull.includes(code) || status === 507) return 'store-full'
  if (code === 'NoSuchBucket') return 'repository-not-found'
  if (codesPassing.includes(code)) return 'store-unreachable'
  if (code === 'NotImplemented' || status === 501) return 'store-unsuitable'
  if (status >= 500 || [408, 429, 499].includes(status)) return 'store-unreachable'
  return 'store-refused'
}

function hintsOf(code: string, failureCode: FailureCode): string[] {
  if (failureCode === 'store-full') return ['Free space in the store, or raise its quota; what is kept is whole.']
  if (code === 'NoSuchBucket') return ['Make the bucket first, and give this access key the right to write in it.']
  if (code === 'RequestTimeTooSkewed') return ['Set the clock of this machine: the store refuses it.']
  if (code === 'InvalidAccessKeyId' || code === 'SignatureDoesNotMatch') {
    return ['Look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: the store does not know this pair.']
  }
  if (
    code === 'AuthorizationHeaderMalformed' ||
    code === 'PermanentRedirect' ||
    code === 'IllegalLocationConstraintException'
  ) {
    return ['Add the region of the bucket to the address: &region=…']
  }
  if (code === 'AccessDenied') {
    return ['The access key needs to list the bucket, and to read, write and delete below the prefix.']
  }
  return []
}
