import { randomBytes } from 'node:crypto'
import { Command } from 'commander'
import { chooseSource, type SourceConfiguration } from '../config.ts'
import { Failure } from '../errors.ts'
import { BuildPool } from '../intake/build-pool.ts'
import type { Manifest } from '../repository/manifest.ts'
import { argumentConnection, scratchConnection } from '../secrets.ts'
import type { Certificate } from '../verify/certificate/document.ts'
import { drillsOf } from '../verify/certificate/drills.ts'
import { chooseEnds } from '../verify/certificate/ends.ts'
import { issueCertificate, type ScratchDatabase } from '../verify/certificate/issue.ts'
import { packageCertificate } from '../verify/certificate/package.ts'
import { printCertificate } from '../verify/certificate/print/print.ts'
import { refuseUnknownNames } from '../verify/certificate/refuse-unknown.ts'
import { NO_RULES } from '../verify/certificate/rules.ts'
import { openScratchCopy } from '../verify/certificate/scratch-copy.ts'
import type { Language } from '../verify/report/language.ts'
import { writePackage } from './certificate-files.ts'
import { countersignCommand, proveCommand, verifyCommand } from './certificate-package.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatCount } from './terminal.ts'

interface IssueOptions extends CommonOptions {
  readonly out: string
  readonly baseline?: string
  readonly end: string
  readonly sampleSeed: string
  readonly sampleRows: string
  readonly samplePatients: string
  readonly organisation?: string
  readonly system?: string
  readonly into?: string
  readonly copy: boolean
  readonly lang: string
}

export function register(program: Command, cli: Cli): void {
  const certificate = new Command('certificate').summary('prove to others that nothing was lost').exitOverride()
  certificate.description(
    'The certificate of data integrity (数据完整性核验证明): issue, countersign, verify, prove one patient.',
  )
  certificate.addCommand(issueCommand(cli)).addCommand(verifyCommand(cli))
  certificate.addCommand(countersignCommand(cli)).addCommand(proveCommand(cli))
  program.addCommand(certificate)
}

function issueCommand(cli: Cli): Command {
  const command = describe({
    name: 'issue',
    summary: 'issue a certificate from a baseline to an end',
    description:
      'Compares two snapshots row by row and counts, by category and month, what was inserted, updated and deleted, and what\n' +
      'nothing accounts for (`explain` in the configuration). Restores a copy of the end, as `drill` does or --into, and\n' +
      'tries it by samples drawn from a text that the hospital gives. Writes a package that verifies on plain Node.',
    examples: [
      'chartkeep certificate issue --out certificate-2026 --sample-seed "acceptance 2026-11-23, drawn by Li Wei"',
      'chartkeep certificate issue --out c --baseline 20260101T000000Z-1f2e3d4c --sample-seed 417 --lang zh',
    ],
    failures: [
      'missing-secret',
      'wrong-key',
      'snapshot-not-found',
      'repository-damaged',
      'target-not-empty',
      'target-failed',
      'restore-unproved',
      'unsupported-server',
    ],
  })
  return withConfiguration(command)
    .requiredOption('--out <directory>', 'a directory that is not there yet')
    .requiredOption('--sample-seed <text>', 'from the hospital: by it the samples are drawn')
    .option('--baseline <snapshot>', 'the oldest snapshot of the source when not given')
    .option('--end <snapshot>', "a snapshot, or 'latest'", 'latest')
    .option('--sample-rows <count>', 'rows looked up on the copy', '300')
    .option('--sample-patients <count>', 'patients retrieved and exported from the copy', '20')
    .option('--organisation <text>', 'the hospital, as it is to be printed')
    .option('--system <text>', 'the clinical system, as it is to be printed')
    .option('--into <url>', 'an empty database for the copy, instead of one of our own')
    .option('--no-copy', 'restore nothing: the opinion is then a disclaimer')
    .option('--lang <language>', 'zh, en or both', 'both')
    .action(action(cli, runIssue))
}

async function runIssue(cli: Cli, options: IssueOptions): Promise<void> {
  const languages = languagesOf(options.lang)
  const configuration = await readConfiguration(cli, options)
  const configured = chooseSource(configuration, options.source)
  await using repository = await openConfiguredRepository(cli, configuration)
  const { baseline, end } = await chooseEnds(repository, configured.name, options)
  const rules = configured.explain ?? NO_RULES
  refuseUnknownNames(rules, [baseline.manifest, end.manifest])
  await using buildPool = new BuildPool()
  const sample = { rows: wholeNumber(options.sampleRows), patients: wholeNumber(options.samplePatients) }
  const deed = {
    actor: actorOf(cli),
    action: 'certificate.issue',
    subject: end.manifest.snapshotId,
    detail: options.out,
  }
  const issue = async () => {
    const issued = await issueCertificate({
      repository,
      baseline,
      end,
      rules,
      organisation: options.organisation ?? configured.name,
      system: options.system ?? configured.name,
      sampleSeed: options.sampleSeed,
      sample,
      openScratch: options.copy ? () => openScratch(cli, options, configured, end.manifest) : null,
      buildPool,
      drills: await drillsOf(repository, configured.name),
      nowMs: cli.nowMs,
      random: randomBytes,
      signal: cli.signal,
      onProgress: (what) => cli.terminal.status(what),
    })
    const files = await packageCertificate(repository, issued, (facts, sha256) =>
      printCertificate(facts, sha256, languages),
    )
    return { certificate: issued.certificate, directory: await writePackage(options.out, files) }
  }
  const { certificate, directory } = await repository.audit.around(deed, cli.nowMs, issue)
  if (!options.json) return showIssued(cli, certificate, directory)
  const { number, opinion, exceptions } = certificate
  cli.terminal.out(JSON.stringify({ type: 'certificate', number, opinion, exceptions: exceptions.length, directory }))
}

function showIssued(cli: Cli, certificate: Certificate, directory: string): void {
  const { out } = cli.terminal
  const { number, opinion, balance, exceptions, baseline, end } = certificate
  const sum = (name: 'inserted' | 'updated' | 'deleted' | 'updatedUnexplained' | 'deletedUnexplained') =>
    formatCount(balance.reduce((total, line) => total + line[name], 0))
  out(`certificate  ${number}`)
  out(`opinion      ${opinion.verdict}${opinion.because.length > 0 ? ` (${opinion.because.join(', ')})` : ''}`)
  out(`baseline     ${formatCount(baseline.rows)} rows, ${baseline.snapshotId}`)
  out(`inserted     ${sum('inserted')}`)
  out(`updated      ${sum('updated')}, unexplained ${sum('updatedUnexplained')}`)
  out(`deleted      ${sum('deleted')}, unexplained ${sum('deletedUnexplained')}`)
  out(`now          ${formatCount(end.rows)} rows, ${end.snapshotId}`)
  out(`exceptions   ${formatCount(exceptions.length)}`)
  out(`package      ${directory}. Verify it there with: node verify.mjs`)
}

async function openScratch(
  cli: Cli,
  { into }: IssueOptions,
  source: SourceConfiguration,
  manifest: Manifest,
): Promise<ScratchDatabase> {
  if (into !== undefined) {
    const connection = await argumentConnection(into, cli.world)
    return { connection, server: `${manifest.source.engine} (given)`, [Symbol.asyncDispose]: async () => {} }
  }
  const on = await scratchConnection(source, cli.world)
  return await openScratchCopy({ url: source.url, on }, manifest, { random: randomBytes, nowMs: cli.nowMs })
}

function languagesOf(text: string): readonly Language[] {
  if (text === 'both') return ['zh', 'en']
  if (text === 'zh' || text === 'en') return [text]
  throw new Failure('bad-usage', `--lang is zh, en or both, not ${text}`)
}

function wholeNumber(text: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && number >= 1 && number <= 1_000_000) return number
  throw new Failure('bad-usage', `a sample has from 1 to 1000000, not ${text}`)
}
