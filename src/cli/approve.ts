import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { Failure } from '../errors.ts'
import { rawPublicKey } from '../repository/crypto/signing.ts'
import type { Repository } from '../repository/repository.ts'
import { approvePlan } from '../restore/patient/approval.ts'
import { counterSign } from '../restore/patient/counter-signature.ts'
import { type ReadPlan, subjectsOf } from '../restore/patient/plan-document.ts'
import { action, type Cli, type CommonOptions, describe, withConfiguration } from './command.ts'
import { actorOf, openConfiguredRepository, readConfiguration } from './open.ts'
import { type PlanViewOptions, showPlan, withPlanView } from './plan-options.ts'
import { planFile } from './restore-patient.ts'

interface ApproveOptions extends CommonOptions, PlanViewOptions {
  readonly json: boolean
  readonly keyFile?: string
  readonly counterSign?: string
}

export function register(program: Command, cli: Cli): void {
  const command = describe({
    name: 'approve',
    summary: 'look at a plan, and say yes to it',
    description:
      'Without --key-file: shows what the plan would write. With --key-file: signs its digest with the key of an approver: of a person who\n' +
      'did not ask for the plan and will not apply it. A plan that is changed by one byte is another plan.',
    examples: [
      'chartkeep approve plan.json --rows',
      'chartkeep approve plan.json --key-file chen.key',
      'chartkeep approve --counter-sign 20260301T021500Z-1f2e3d4c.5a6b7c8d --key-file chen.key',
    ],
    failures: ['missing-secret', 'wrong-key', 'plan-refused', 'signature-refused', 'object-exists'],
  })
  command.argument('[plan]', 'the file that --plan wrote')
  withPlanView(withConfiguration(command))
    .option('--counter-sign <changeset>', 'sign afterwards for an emergency that went ahead without approval')
    .option('--key-file <file>', "the approver's private key; its passphrase from CHARTKEEP_KEY_PASSPHRASE")
    .action(action(cli, run))
  program.addCommand(command)
}

async function run(cli: Cli, file: string | undefined, options: ApproveOptions): Promise<void> {
  if ((file === undefined) === (options.counterSign === undefined)) {
    throw new Failure('bad-usage', 'give either a plan, or --counter-sign CHANGESET', {
      hints: ['`chartkeep status` lists emergencies that are open.'],
    })
  }
  if (file === undefined) await runCounterSign(cli, options.counterSign!, options)
  else await runApprove(cli, file, options)
}

async function runCounterSign(cli: Cli, changesetId: string, options: ApproveOptions): Promise<void> {
  if (options.keyFile === undefined) throw new Failure('bad-usage', '--counter-sign needs --key-file')
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const signer = await signerOf(repository, await privateKey(cli, options.keyFile))
  const detail = `by key ${signer.signerId}`
  const deed = { actor: actorOf(cli), action: 'patient.counter-sign', subject: changesetId, detail }
  const sign = () => counterSign({ repository, changesetId, signer, nowMs: cli.nowMs() })
  const approval = await repository.audit.around(deed, cli.nowMs, sign)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'approval', ...approval }))
  else cli.terminal.out(`signed    changeset ${changesetId} by key ${signer.signerId}`)
}

async function runApprove(cli: Cli, file: string, options: ApproveOptions): Promise<void> {
  await using repository = await openConfiguredRepository(cli, await readConfiguration(cli, options))
  const plan = await planFile(repository, file)
  await preview(cli, repository, plan, options)
  if (options.keyFile === undefined) return cli.terminal.out('Not approved. Give --key-file FILE to approve it.')
  const signer = await signerOf(repository, await privateKey(cli, options.keyFile))
  const { planId } = plan.document
  const detail = `plan ${planId} by key ${signer.signerId}`
  const deed = { actor: actorOf(cli), action: 'patient.approve', detail }
  const approve = () => approvePlan({ repository, plan, signer, nowMs: cli.nowMs() })
  const approval = await repository.audit.aroundEach(deed, subjectsOf(plan.document), cli.nowMs, approve)
  if (options.json) cli.terminal.out(JSON.stringify({ type: 'approval', ...approval }))
  else
    cli.terminal.out(
      `approved  plan ${planId} by key ${signer.signerId}. Next: chartkeep restore patient --apply ${file} --yes`,
    )
}

/** That somebody looked stands in the audit where rows are shown. */
async function preview(cli: Cli, repository: Repository, plan: ReadPlan, options: ApproveOptions): Promise<void> {
  const showsRows = options.rows || options.showValues || options.page !== undefined
  if (!showsRows) return options.json ? undefined : await showPlan(cli, plan, options)
  const detail = `plan ${plan.document.planId}, values ${options.showValues ? 'shown' : 'masked'}`
  const looked = { actor: actorOf(cli), action: 'patient.preview', detail }
  const subjects = subjectsOf(plan.document)
  await repository.audit.aroundEach(looked, subjects, cli.nowMs, () => showPlan(cli, plan, options))
}

async function privateKey(cli: Cli, path: string): Promise<KeyObject> {
  const pem = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Failure('missing-secret', `cannot read the key at ${path} (${error.code})`)
  })
  const passphrase = cli.world.variables.CHARTKEEP_KEY_PASSPHRASE
  if (!passphrase) {
    throw new Failure('missing-secret', `no passphrase for the key at ${path}`, {
      hints: ['Set CHARTKEEP_KEY_PASSPHRASE.'],
    })
  }
  try {
    return createPrivateKey({ key: pem, passphrase })
  } catch {
    throw new Failure('wrong-key', `the key at ${path} does not open with CHARTKEEP_KEY_PASSPHRASE`)
  }
}

async function signerOf(repository: Repository, key: KeyObject): Promise<{ signerId: string; key: KeyObject }> {
  const publicKey = Buffer.from(rawPublicKey(createPublicKey(key))).toString('base64')
  const known = (await repository.signers()).find((signer) => signer.publicKey === publicKey)
  if (known) return { signerId: known.signerId, key }
  throw new Failure('signature-refused', 'the repository does not know this key', {
    hints: ['`chartkeep key list` shows whose it knows; `chartkeep key create --role approver` makes one.'],
  })
}
