/**
 * Writes docs/errors.md from the failure table and the words below: what each code means, and what to do.
 *
 *     node launch.mjs scripts/document-errors.ts
 *
 * A test compares the file with what this would write (test/habits.test.ts).
 */
import { writeFile } from 'node:fs/promises'
import { type FailureCode, failures } from '../src/errors.ts'

interface Words {
  readonly meaning: string
  readonly advice: string
}

const OUTPUT = new URL('../docs/errors.md', import.meta.url)

const words: Readonly<Record<FailureCode, Words>> = {
  'bad-usage': {
    meaning: 'The command line or the request asks for something that does not exist or contradicts itself.',
    advice: 'Read the help of the command: `chartkeep COMMAND --help`.',
  },
  'bad-configuration': {
    meaning: 'The configuration file is missing, is not YAML, or says something that is not known or not possible.',
    advice: 'Mend the line that the message names; `chartkeep discover URL` drafts a file that works.',
  },
  'missing-secret': {
    meaning:
      'A password, passphrase, key file or store credential is wanted and was not given, or its file is open to others.',
    advice: 'Give it by the environment variable or file that the hint names. Secrets are never arguments.',
  },
  'wrong-key': {
    meaning: 'The passphrase or key file does not open this repository.',
    advice: 'Give the right one; the recovery sheet that `chartkeep init` wrote opens it too.',
  },
  cancelled: {
    meaning: 'Somebody stopped it. What was durable before stays; nothing half-made counts.',
    advice: 'Run it again.',
  },
  'source-unreachable': {
    meaning: 'No connection to the database: the host does not answer, the server is starting or is full.',
    advice: 'Check address, network and server; running again may be enough.',
  },
  'source-login-refused': {
    meaning: 'The database refused the role or its password.',
    advice: 'Check the role and where its password comes from; `chartkeep setup-sql` prints what a DBA runs for it.',
  },
  'source-not-found': {
    meaning: 'The server is there, and has no database of that name.',
    advice: 'Check the name at the end of the URL.',
  },
  'missing-rights': {
    meaning: 'The role may not read or do what is needed; the message names the object.',
    advice: 'Have a DBA run what `chartkeep setup-sql` prints.',
  },
  'rows-hidden': {
    meaning:
      'Row-level security would hide rows from the role. A backup without them would look whole, so none is made.',
    advice: 'Grant the role BYPASSRLS, or exclude the table in the configuration; it is then listed as not captured.',
  },
  'unsupported-server': {
    meaning: 'The server is of a kind or version that chartkeep does not know how to read exactly.',
    advice: 'See docs/TESTED.md for the versions that are known.',
  },
  'setting-not-pinned': {
    meaning: 'A session setting that shapes the text of values did not take. Digests would not compare.',
    advice: 'Look for a pooler or role default that overrides startup options; connect to the server itself.',
  },
  'schema-changed': {
    meaning: 'A table changed its structure or storage while it was read.',
    advice: 'Run again; it reads the table as it is now.',
  },
  'yielded-to-application': {
    meaning: 'The clinical application waited for a lock that we held, so we let go of everything.',
    advice: 'Run again at a quieter time, away from schema changes.',
  },
  'untranslatable-text': {
    meaning: 'A table holds text that cannot be turned into UTF-8.',
    advice:
      'The message names the table. Have the text mended, or exclude the table; it is then listed as not captured.',
  },
  'duplicate-key': {
    meaning: 'Two rows have the same primary key. The index that should prevent it is damaged.',
    advice: 'Have a DBA look at the table with amcheck and rebuild the index.',
  },
  'source-failed': {
    meaning: 'The database reported an error that has no code of its own here; its SQLSTATE is in the message.',
    advice: "Look at the server's log: values of rows are shown there only.",
  },
  'object-missing-in-source': {
    meaning: 'The configuration names a table or column that the database does not have.',
    advice: 'Correct the name, or take it out; `chartkeep discover URL` lists what is there.',
  },
  'cannot-capture': {
    meaning: 'The database does not offer its changes: a setting, a right or a publication is missing.',
    advice: 'Have a DBA run what `chartkeep setup-sql` prints; until then every snapshot reads in full, and says so.',
  },
  'slot-missing': {
    meaning: 'The replication slot of this source is gone: somebody dropped it, or the database was made anew.',
    advice: 'Run `chartkeep capture`: it begins a new change log and declares the gap. Then `chartkeep backup`.',
  },
  'slot-lost': {
    meaning: 'The server gave up the WAL that the slot still needed, because the limit was reached.',
    advice: 'Run `chartkeep capture`: it begins a new change log and declares the gap. Then `chartkeep backup`.',
  },
  'slot-in-use': {
    meaning: 'Another process follows this slot.',
    advice:
      'One capture runs for each source. Find the other; the server ends a dead one within its wal_sender_timeout.',
  },
  'slot-exists': {
    meaning: 'A slot of that name is there already, and it is not known to be ours.',
    advice: 'See `chartkeep status`; a slot that nobody uses must be dropped by a DBA.',
  },
  'history-differs': {
    meaning: 'The database is not where our log ends: it was restored, cloned, or another server took over.',
    advice: 'Run `chartkeep capture`: it begins a new change log beside the old one. Then `chartkeep backup`.',
  },
  'repository-not-found': {
    meaning: 'There is no repository at that address.',
    advice: 'Check `repository.url` and `--repo`; `chartkeep init` makes one.',
  },
  'repository-exists': {
    meaning: 'There is a repository at that address already. None is ever overwritten.',
    advice: 'Use it, or give another address.',
  },
  'repository-format': {
    meaning: 'The repository was written in a format that this version does not know.',
    advice: 'Use the version of chartkeep that the message names, or a later one.',
  },
  'repository-damaged': {
    meaning:
      'What was read from the repository is not what was written: a digest or an authentication tag does not fit.',
    advice:
      'Run `chartkeep scrub` to learn what is affected. Do not delete anything; restore the objects from a second copy.',
  },
  'snapshot-not-found': {
    meaning: 'No snapshot of that name, or none at or before that time.',
    advice: 'List what is there: `chartkeep snapshots`.',
  },
  'object-missing': {
    meaning: 'An object that something in the repository refers to is not in the store.',
    advice: 'Run `chartkeep check` to learn what is affected, and look for the object in a second copy of the store.',
  },
  'object-exists': {
    meaning: 'An object of that name is in the store already. Objects are never overwritten.',
    advice: 'Somebody else may be writing to the same repository: see who, then run again.',
  },
  'change-log-gap': {
    meaning: 'Changes are missing between two positions, so no state in between can be proved.',
    advice: 'The message says from when to when. Choose a time outside of the gap.',
  },
  'signature-refused': {
    meaning: 'A signature does not fit what it signs, or its key is not known or was revoked.',
    advice: 'Find out who wrote the object that the message names before relying on it.',
  },
  'history-rewritten': {
    meaning: 'The repository does not continue the history that somebody holds a checkpoint of.',
    advice: 'Keep the repository as it is, and treat it as evidence.',
  },
  'store-unreachable': {
    meaning: 'The store did not answer, or not in time.',
    advice: 'Check address, network and server; running again may be enough.',
  },
  'store-refused': {
    meaning: 'The store answered and refused: credentials, permissions, or a bucket that is not there.',
    advice: 'Check the credentials and the bucket that the message names.',
  },
  'store-full': {
    meaning: 'The store has no room left. Earlier snapshots are whole.',
    advice: 'Make room or give it more, then run again.',
  },
  'store-unsuitable': {
    meaning: 'The store does not do what is needed; the message says what was tried.',
    advice: 'Use another store, or keep leases elsewhere.',
  },
  'store-lied': {
    meaning: 'The store confirmed something that then was not so.',
    advice: 'Run again; when it repeats, do not trust this store with the only copy.',
  },
  'local-disk-full': {
    meaning: 'The disk for temporary files of chartkeep itself is full.',
    advice: 'Make room where TMPDIR points to, then run again.',
  },
  'lease-held': {
    meaning: 'Another chartkeep works on the same source, or prunes the same repository.',
    advice: 'Wait until it ends; a lease whose holder died runs out by itself.',
  },
  'lease-lost': {
    meaning: 'This process was away for so long that another one took over its work. It wrote nothing more.',
    advice: 'Nothing to mend. See what the other one does: `chartkeep status`.',
  },
  'clock-doubtful': {
    meaning:
      "This machine's clock disagrees with what is recorded, with the database's, or with when the last snapshot was taken.",
    advice: 'Set the clock right, take a snapshot, and run the command again. Nothing was deleted.',
  },
  'target-not-empty': {
    meaning: 'The database to restore into is not empty. Nothing was changed.',
    advice: 'Create an empty database and name it.',
  },
  'target-is-source': {
    meaning: 'The database to restore into is the one that was backed up. Nothing was changed.',
    advice: 'Name another database.',
  },
  'target-failed': {
    meaning: 'The database to restore into reported an error; its SQLSTATE and the object are in the message.',
    advice: 'Mend the cause, then restore into a new empty database.',
  },
  'restore-unproved': {
    meaning: 'What was restored is not equal to what the snapshot says. Do not use it.',
    advice: 'Run `chartkeep scrub`, and restore again into a new empty database.',
  },
  'plan-moved': {
    meaning: 'A row of the plan is not as the preview found it, or somebody holds it. Nothing was written.',
    advice: 'Somebody works on this patient. Make a new plan, look at it again, and have it approved.',
  },
  'plan-refused': {
    meaning: 'The plan has run out, was not approved by another person, or is for another database.',
    advice: 'The message says which. Make a new plan, or have it approved.',
  },
  'outcome-unknown': {
    meaning:
      'The connection ended while the transaction was being committed, and the server cannot say what became of it.',
    advice: 'Look at the patient before anything else is done: make a new plan; it shows what is there now.',
  },
  'job-stalled': {
    meaning: 'Something that the service waits for did not come to its end within its time, and was left behind.',
    advice: 'See what it waits for: a lock, a network, a store. Give `limit` of the job if it rightly takes longer.',
  },
  'alarm-not-delivered': {
    meaning: 'A receiver of alarms, or of signs of life, did not take the message.',
    advice: 'See that the receiver runs, and that address, account and certificate under `service.alarms` are right.',
  },
  'findings-failed': {
    meaning: 'Verification looked, and found something wrong.',
    advice: 'Read the findings: each says what is affected.',
  },
  'findings-inconclusive': {
    meaning: 'Verification could not look at everything, so it does not say that all is well.',
    advice: 'The findings say what was not seen and why. Mend that, and run it again.',
  },
  'findings-warned': {
    meaning: '`chartkeep doctor` found nothing that endangers data today, and something that will.',
    advice: 'Read the findings: each says what it means and what to run.',
  },
  'protection-late': {
    meaning: 'The last snapshot, or the last change kept, is older than allowed.',
    advice: 'See `chartkeep status`: it says which, and since when. Look after `chartkeep capture` and the schedule.',
  },
  'token-refused': {
    meaning:
      'A request to the API came without a token, or with one that is unknown, revoked or expired; or too many wrong ones came before.',
    advice: 'Have a token made: `chartkeep token create`. After a lock-out, wait as long as `Retry-After` says.',
  },
  'role-refused': {
    meaning: 'The token is known, and its role may not do this.',
    advice: 'Use a token of the role that the message names: `chartkeep token list` shows who has which.',
  },
  'too-many-requests': {
    meaning: 'More requests came than are answered at a time, from one token, one address or altogether.',
    advice: 'Wait as long as `Retry-After` says, and ask again.',
  },
  'request-too-large': {
    meaning: 'The body of a request is larger than any that the API takes.',
    advice: 'Send less; `/openapi.json` says what each request holds.',
  },
  'request-conflicts': {
    meaning: 'The `Idempotency-Key` was used before: for another request, or for one of which no answer is known.',
    advice:
      'Use a new key for a new request. Where no answer is known, look first whether it was done: `chartkeep audit`.',
  },
  'request-timed-out': {
    meaning: 'The answer took longer than a client is made to wait; what only looked was stopped.',
    advice: 'Ask for less, for example for another moment nearer to a snapshot, or start it as a job.',
  },
  'not-found': {
    meaning: 'The API has no such path, or what the path names is not there.',
    advice: '`/openapi.json` lists the paths; the lists under `/v1` name what is there.',
  },
  'not-available': {
    meaning: 'This installation has no such function: it is not part of this version, or not configured.',
    advice: '`chartkeep --help` lists what this version does.',
  },
  defect: {
    meaning: 'An assertion of chartkeep itself did not hold: a mistake in the program.',
    advice: 'Report it with the message, which holds no values of rows. Repeating the command does no harm.',
  },
}

export function renderErrorDocument(): string {
  const sections = (Object.keys(failures) as FailureCode[]).map(renderSection)
  return [
    '# Errors',
    '',
    'Every way in which a command or a request can fail has a code, an exit status and an HTTP status of its own. The',
    'messages hold names, counts and positions, never a value of a row. *Retry* means that the same call may succeed',
    'later without anybody changing anything.',
    '',
    '<!-- Written by scripts/document-errors.ts from src/errors.ts. -->',
    '',
    ...sections,
  ].join('\n')
}

function renderSection(code: FailureCode): string {
  const { exit, http, retry } = failures[code]
  const { meaning, advice } = words[code]
  const facts = `Exit status ${exit}, HTTP ${http}, ${retry ? 'retry' : 'no retry'}.`
  return [`## ${code}`, '', `${facts} ${meaning}`, '', `*What to do:* ${advice}`, ''].join('\n')
}

if (import.meta.main) await writeFile(OUTPUT, renderErrorDocument())
