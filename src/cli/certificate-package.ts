/** What is done with a certificate that was issued: verify it, countersign it, prove one patient against it. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { pseudonymOf, refuseWithoutPurpose } from '../restore/patient/look.ts'
import { fieldOfText } from '../restore/patient/stored-row.ts'
import { packagePatient } from '../verify/certificate/patient-package.ts'
import { countersign } from '../verify/certificate/seal.ts'
import { verifyDirectory } from '../verify/certificate/verify/verify.mjs'
import { readPackage, updatePackage, writePackage } from './certificate-files.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { formatCount } from './terminal.ts'

interface ProveOptions extends CommonOptions {
  readonly certificate: string
  readonly out: string
  readonly purpose: string
}

interface CountersignOptions {
  readonly keyFile: string
  readonly name: string
  readonly json: boolean
}

export function verifyCommand(cli: Cli): Command {
  const command = describe({
    name: 'verify',
    summary: 'verify a certificate, or the proof of one patient',
    description:
      'By the very file that lies in the package (`node verify.mjs` there), as this version of chartkeep has it. Needs no repository.',
    examples: ['chartkeep certificate verify certificate-2026'],
    failures: ['signature-refused'],
  })
  return command
    .argument('<directory>', 'the package')
    .option('--json', 'for programs: one JSON object a line', false)
    .action(action(cli, runVerify))
}

async function runVerify(cli: Cli, directory: string, options: { readonly json: boolean }): Promise<void> {
  const lines = verified(directory)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'verified', directory, lines }))
  else for (const line of lines) cli.terminal.out(line)
}

/** @throws signature-refused */
function verified(directory: string): readonly string[] {
  try {
    return verifyDirectory(resolve(directory))
  } catch (error) {
    const why = error instanceof Error ? error.message : 'it cannot be read'
    throw new Failure('signature-refused', `${directory} is not verified: ${why}`, {
      hints: ['Keep it as it is, and ask whoever issued it for another copy.'],
      cause: error,
    })
  }
}

export function countersignCommand(cli: Cli): Command {
  const command = describe({
    name: 'countersign',
    summary: "add the hospital's signature to a certificate",
    description:
      'Signs the seal of a package that verifies, with an Ed25519 key of the hospital that chartkeep need not know.',
    examples: ['chartkeep certificate countersign certificate-2026 --key-file hospital.pem --name "信息科 李伟"'],
    failures: ['missing-secret', 'wrong-key', 'signature-refused'],
  })
  return command
    .argument('<directory>', 'the package')
    .requiredOption(
      '--key-file <file>',
      'PEM of a private key; its passphrase, if it has one, from CHARTKEEP_KEY_PASSPHRASE',
    )
    .requiredOption('--name <text>', 'who signs, as it is to be read')
    .option('--json', 'for programs: one JSON object a line', false)
    .action(action(cli, runCountersign))
}

async function runCountersign(cli: Cli, directory: string, options: CountersignOptions): Promise<void> {
  const key = await hospitalKey(cli, options.keyFile)
  verified(directory)
  const files = await readPackage(directory)
  await updatePackage(directory, countersign(files, { name: options.name, key, nowMs: cli.nowMs() }))
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'countersigned', directory, name: options.name }))
  else cli.terminal.out(`signed    ${options.name}`)
}

async function hospitalKey(cli: Cli, path: string): Promise<KeyObject> {
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('missing-secret', `cannot read the key at ${path} (${error.code})`)
  })
  const passphrase = cli.world.variables.CHARTKEEP_KEY_PASSPHRASE
  try {
    return createPrivateKey({ key: pem, ...(passphrase && { passphrase }) })
  } catch {
    throw new Failure('wrong-key', `the key at ${path} does not open`, { hints: ['Set CHARTKEEP_KEY_PASSPHRASE.'] })
  }
}

export function proveCommand(cli: Cli): Command {
  const command = describe({
    name: 'prove-patient',
    summary: "prove one patient's rows against a certificate",
    description:
      "Writes that patient's rows as of the certificate's end, with salts and the way to its root, and nothing of anybody else;\n" +
      'verified by the same `node verify.mjs`. The files hold patient data: keep them as such.',
    examples: [
      'chartkeep certificate prove-patient 417 --certificate certificate-2026 --out proof-417 --purpose "court order 12"',
    ],
    failures: ['missing-secret', 'wrong-key', 'snapshot-not-found', 'repository-damaged', 'signature-refused'],
  })
  command.argument('<id>', "the patient's key")
  return withConfiguration(command)
    .requiredOption('--certificate <directory>', 'the package of the certificate')
    .requiredOption('--out <directory>', 'a directory that is not there yet')
    .requiredOption('--purpose <text>', 'why the patient is looked at: it stands in the audit')
    .action(action(cli, runProve))
}

async function runProve(cli: Cli, id: string, options: ProveOptions): Promise<void> {
  refuseWithoutPurpose(options.purpose)
  const certified = await readPackage(options.certificate)
  verified(options.certificate)
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const pseudonym = pseudonymOf(repository, id)
  const deed = { actor: actorOf(cli), action: 'certificate.prove-patient', subject: pseudonym, detail: options.purpose }
  const { proof, directory } = await repository.audit.around(deed, cli.nowMs, async () => {
    const made = await packagePatient(repository, certified, { key: fieldOfText(id), pseudonym })
    return { proof: made.proof, directory: await writePackage(options.out, made.files) }
  })
  const rows = proof.tables.flatMap(({ groups }) => groups).reduce((sum, group) => sum + group.rows, 0)
  const { tables, leftOut } = proof
  if (options.json) {
    cli.terminal.out(
      JSON.stringify({ type: 'patient-proof', patient: pseudonym, rows, tables: tables.length, leftOut, directory }),
    )
    return
  }
  cli.terminal.out(`proved    ${formatCount(rows)} rows of ${tables.length} tables, patient ${pseudonym}`)
  for (const { table, reason } of leftOut) cli.terminal.out(`left out  ${table}: ${reason}`)
  cli.terminal.out(`package   ${directory}. Verify it there with: node verify.mjs`)
}
