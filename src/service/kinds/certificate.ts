import { BuildPool } from '../../intake/build-pool.ts'
import { announceReading } from '../../repository/readers.ts'
import type { Certificate, CertificateException } from '../../verify/certificate/document.ts'
import { drillsOf } from '../../verify/certificate/drills.ts'
import { chooseEnds, type Ends } from '../../verify/certificate/ends.ts'
import { issueCertificate } from '../../verify/certificate/issue.ts'
import { keepCertificate } from '../../verify/certificate/kept.ts'
import { packageCertificate } from '../../verify/certificate/package.ts'
import { printCertificate } from '../../verify/certificate/print/print.ts'
import { refuseUnknownNames } from '../../verify/certificate/refuse-unknown.ts'
import { NO_RULES } from '../../verify/certificate/rules.ts'
import { openScratchCopy } from '../../verify/certificate/scratch-copy.ts'
import { type Finding, finding } from '../../verify/finding.ts'
import type { JobResult } from '../contract.ts'
import { type Kind, verdictOf } from './contract.ts'
import { type KindWorld, sourceOf } from './world.ts'

const SAMPLE = { rows: 300, patients: 20 }

/** From the oldest snapshot that is kept to the newest, tried on a copy of our own, and kept in the repository. */
export function certificateKind(world: KindWorld): Kind {
  return {
    deed: 'certificate.issue',
    perSource: true,
    readsSource: false,
    lane: 'verify',
    run: async ({ repository, source: name, signal, assertHeld, onEvent }) => {
      const { nowMs, random, host } = world
      await using _reading = await announceReading(repository, { holder: `a certificate of ${host}`, nowMs })
      const configured = sourceOf(world, name)
      const startedMs = nowMs()
      const ends = await chooseEnds(repository, configured.name, { end: 'latest' })
      const rules = configured.explain ?? NO_RULES
      refuseUnknownNames(rules, [ends.baseline.manifest, ends.end.manifest])
      await using buildPool = new BuildPool()
      let steps = 0
      const issued = await issueCertificate({
        ...{ repository, ...ends, rules, buildPool, nowMs, random, signal, sample: SAMPLE },
        organisation: configured.drill.organisation ?? configured.name,
        system: configured.name,
        sampleSeed: drawnByNobody(ends),
        openScratch: async () => {
          const on = await world.scratchOf(configured)
          return await openScratchCopy({ url: configured.url, on }, ends.end.manifest, world)
        },
        drills: await drillsOf(repository, configured.name),
        onProgress: (what) => {
          steps += 1
          onEvent({ type: 'progress', done: steps, total: null, unit: 'steps', what })
        },
      })
      const files = await packageCertificate(repository, issued, (facts, sha256) => printCertificate(facts, sha256))
      assertHeld()
      const { number } = issued.certificate
      await keepCertificate(repository, number, files)
      return { ...resultOf(issued.certificate, (nowMs() - startedMs) / 1000), made: number }
    },
  }
}

/** No hospital is there to give a text at night. What nobody could choose serves: the digest of what is certified. */
function drawnByNobody({ end }: Ends): string {
  return `scheduled; SHA-256 of the manifest at the end: ${end.sha256}`
}

/** An opinion that is qualified for the want of a drill says nothing of the data: it is a warning, and no failure. */
export function resultOf(
  { opinion, exceptions, tables }: Pick<Certificate, 'opinion' | 'exceptions' | 'tables'>,
  seconds: number,
): JobResult {
  const { verdict, because } = opinion
  const isOnlyDrill = because.every((rule) => rule === 'no-drill')
  const findings: Finding[] = []
  if (verdict !== 'unqualified') {
    const message = `opinion ${verdict}: ${because.join(', ')}`
    const found = finding({ kind: 'certificate-opinion', message, ...about(exceptions) })
    findings.push(isOnlyDrill ? { ...found, severity: 'warning', hint: 'Hold one: `chartkeep drill`.' } : found)
  }
  const status = isOnlyDrill ? 'passed' : verdict === 'disclaimer' ? 'inconclusive' : 'failed'
  const looked = { tables: tables.length, exceptions: exceptions.length }
  return verdictOf({ status, findings, looked, seconds })
}

function about(exceptions: readonly CertificateException[]): Pick<Finding, 'tables' | 'patients' | 'patientsComplete'> {
  const tables = exceptions.flatMap(({ table }) => table ?? [])
  const patients = exceptions.flatMap((exception) => exception.patients)
  return {
    tables: [...new Set(tables)].sort(),
    patients: [...new Set(patients)].sort(),
    patientsComplete: exceptions.every(({ patientsComplete }) => patientsComplete),
  }
}
