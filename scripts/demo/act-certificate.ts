/**
 * What lies on the table at acceptance: the hospital says what accounts for changes, a certificate is issued about
 * everything that the ward did between the two snapshots, and somebody who has nothing but Node verifies it.
 */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { parseDocument } from 'yaml'
import { referenceExplain } from '../reference/explain.ts'
import { shapes } from './result.ts'
import { fromCheckout, type Stage } from './stage.ts'

const SEED_OF_THE_HOSPITAL = '某市第一医院 2026 年度验收，抽样人：李伟'

export async function certify({ story, places }: Stage): Promise<void> {
  await story.does(
    'explain',
    () => addRules(fromCheckout(places.configuration)),
    () =>
      "the application's audit table, closed records, dictionaries and monthly figures: `explain` in chartkeep.yaml",
  )
  const command = ['certificate', 'issue', '--config', places.configuration, '--out', places.certificate]
  const drawn = [
    '--sample-seed',
    SEED_OF_THE_HOSPITAL,
    '--organisation',
    '某市第一医院',
    '--system',
    '重症临床信息管理系统',
  ]
  const issued = await story.asks('certificate', [...command, ...drawn], shapes.certificate, (found) =>
    [
      `${found.number}: ${found.opinion.verdict} (${found.opinion.because.join(', ') || 'nothing to be said'})`,
      `certificate.zh.pdf and certificate.en.pdf lie in ${places.certificate}`,
    ].join('\n'),
  )
  const { verdict, because } = issued.opinion
  // Nobody held a drill here, and a certificate does not hide that.
  const isClean = verdict === 'qualified' && because.join() === 'no-drill'
  story.expect('certificate', isClean, `the certificate says ${verdict}: ${because.join(', ')}`)
  await story.does(
    'certificate-verify',
    () => verifyAlone(fromCheckout(places.certificate)),
    (said) => said,
  )
}

async function addRules(path: string): Promise<void> {
  const document = parseDocument(await readFile(path, 'utf8'))
  const [name] = Object.keys((document.toJS() as { sources: object }).sources)
  document.setIn(['sources', name, 'explain'], document.createNode(referenceExplain()))
  await writeFile(path, document.toString())
}

/** As an auditor would: in the package's directory, with an empty environment. */
async function verifyAlone(directory: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ['verify.mjs'], { cwd: directory, env: {} })
  return `$ node verify.mjs\n${stdout.trimEnd()}`
}
