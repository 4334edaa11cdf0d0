/**
 * The contract on MinIO's own server, where a container engine answers: a second S3 store that was written by other
 * people than the first.
 */
import { Client } from 'minio'
import type { StartedTestContainer } from 'testcontainers'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { StoreCapabilities, StoreSettings } from '../../../src/repository/store/contract.ts'
import { openStore } from '../../../src/repository/store/open.ts'
import { assertSuitable, probeStore } from '../../../src/repository/store/probe.ts'
import { describeStore } from './store-suite.ts'

const IMAGE = 'minio/minio:RELEASE.2025-09-07T16-13-09Z'
const PORT = 9000
const accessKey = 'test-access-key'
const secretKey = 'test-secret-key'

describe.runIf(inject('containerEngine') !== null)('on MinIO', () => {
  let container: StartedTestContainer
  const settings = (path: string): StoreSettings => ({
    url: `s3://${path}?endpoint=http://${container.getHost()}:${container.getMappedPort(PORT)}`,
    accessKey,
    secretKey,
  })
  beforeAll(async () => {
    // Loading it takes two seconds: only where there is an engine.
    const { GenericContainer, Wait } = await import('testcontainers')
    container = await new GenericContainer(IMAGE)
      .withEnvironment({ MINIO_ROOT_USER: accessKey, MINIO_ROOT_PASSWORD: secretKey })
      .withCommand(['server', '/data'])
      .withExposedPorts(PORT)
      .withWaitStrategy(Wait.forHttp('/minio/health/ready', PORT))
      .start()
    const port = container.getMappedPort(PORT)
    const client = new Client({ endPoint: container.getHost(), port, useSSL: false, accessKey, secretKey })
    await client.makeBucket('plain')
  }, 180_000)
  afterAll(async () => await container.stop())

  let known: StoreCapabilities | undefined
  describeStore('MinIO', {
    secrets: [secretKey],
    open: async (place) => {
      const store = await openStore(settings(`plain/${place}`), known)
      known = store.capabilities
      return store
    },
  })

  test('a probe finds a store that can hold a repository, with conditions that hold', async () => {
    const probe = await probeStore(settings('plain/probe'))

    assertSuitable(probe)
    expect(probe.answers.conditionalPut.answer).toBe('yes')
    expect(probe.answers.racingPut.answer).toBe('yes')
  })
})
