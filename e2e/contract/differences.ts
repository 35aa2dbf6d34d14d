// Where each difference of docs/compatibility.md is seen: the first cell of its row, or the beginning of its item, and the title of a test (or a part that no other has).
// What no test can see says why.

/** `see`: titles. `unseen`: the reason. */
export type Seen = { readonly see: readonly string[] } | { readonly unseen: string }

const see = (...titles: string[]): Seen => ({ see: titles })

export const differences: Readonly<Record<string, Seen>> = {
  // Safer on purpose
  'the stored bcrypt hash was once accepted': see('a stored hash presented as the password fails'),
  'an access-file entry without `password`': see('an entry never inherits the password or the permissions of the entry before it'),
  'duplicate users': see("refuses the whole file with the entry's position"),
  'the access file is read once': see('a changed file is in force after the next look'),
  'CA files are read once': see('rotation of the client CA: both are trusted'),
  'unlimited guessing': see('after ten failures even the right password is refused from that address'),
  'no limits on body': see(
    'a body beyond the limit is refused with 413, unlike in rqlite',
    'a URL over the limit is 414, headers over the limit are 431',
  ),
  'a forwarded write is sent again': see('a write whose answer was lost is never sent again'),
  'a queued write through a follower': see('a queued write keeps the user who sent it, also through a follower, unlike in rqlite'),
  'a queued write that cannot be queued waits': see('a full queue says so and when to come again'),
  'a queued write that is tried again': see('a batch whose outcome is unknown is not sent again'),
  '`transaction` of a queued write': see('transaction makes a request of several statements an entry of its own'),
  'the password travels to the leader': see('a follower forwards a write as it came, with the identity it has checked'),
  'Raft port: internode commands': see('one who is no member cannot forward, whatever identity it claims'),
  'a node may come back under its old id': see('a node whose data directory is lost is refused under its old id'),
  'ATTACH, transaction control': see('transaction control, ATTACH and functions that leave the database are refused, unlike in rqlite'),
  '`PRAGMA foreign_keys = …`': see(
    'what programs say to each connection is a read, where it says what is so',
    '${sent.by}, ${sent.to}: ${sent.sql}',
  ),
  'random() and date functions': see('random numbers and the time in a write are values of its entry'),
  'one refused statement of a request': see(
    'one refused statement, and nothing of its request is done, unlike in rqlite',
    'a text that begins no statement',
  ),
  'a query may run': see('an endless read is ended at its limit'),
  'a write may run without limit': see(
    'what never ends, takes too much memory or too much of the disk is ended; entries are applied meanwhile',
  ),
  'results of any size': see('a result over the limit is refused, and says so when the statements have been carried out'),
  'rowid 9223372036854775807': see('the last rowid of all is refused wherever it would come from'),
  'writes to `sqlite_stat1`': see('refused in a statement and in a trigger'),
  'ANALYZE, PRAGMA optimize': see(
    'what needs an entry of its own stands alone in its text',
    'statistics change plans on every node at the same entry',
  ),
  'strings in double quotes in a schema': see(
    'a name is never taken for a string, and what SQLite does not complain of stays',
    'strings in double quotes in tables, indexes, triggers, views and new columns',
  ),
  'VACUUM renumbers the rows': see('VACUUM changes nothing that an entry can see', 'VACUUM is answered as by rqlite, and INTO is refused'),
  'VACUUM as often as clients like': see(
    'whoever sends nothing but VACUUM has a tenth of the time for it',
    'small ones in a row are not refused',
  ),
  '`rootpage`, `*` and whole rows': see('tells on which page a table begins, so only a read outside of the log may use it'),
  'writes to `sqlite_sequence`': see('refused in a statement and in a trigger'),
  '`INSERT INTO ft(ft, rank)': see('refused in a statement and in a trigger'),
  '`pragma_…()` table functions': see('tells of one node alone, so only a read outside of the log may use it'),
  'a text value that is called like one of them': see('tells of one node alone, so only a read outside of the log may use it'),
  'a text value that is `_securesql`': see('the tables of the node itself are listed, and cannot be read or written, unlike in rqlite'),
  'views of views without limit': see('views of views are refused where they would take long to write out'),
  // Answers
  'a refusal is a text': see('other refusals are one line of plain text and carry their code'),
  'paths match by their beginning': see('paths are exact and case-sensitive, unlike in rqlite'),
  'any page may send requests': see('a request of a script from another site is refused, except from the allowed origin'),
  '`level=strong` writes': see('waits for the leader to be confirmed and reads at least that index'),
  '`freshness_strict` compares clocks': see('freshness_strict: what is known to be committed must be applied in time'),
  'a linearizable read that is not confirmed': see('a linearizable read that is not confirmed in time is a refusal, not old data'),
  'without a leader 503 at once': see('a node waits for one until its deadline, unlike rqlite'),
  'the last node can be removed': see(
    'the last voter cannot be removed, unlike in rqlite',
    'a leader that is to go hands over, and the new one removes it',
  ),
  '`POST /leader` is answered at once': see('POST /leader hands over to the node that JSON names, and is answered when it leads'),
  '`POST /snapshot` has something to do': see(
    '/snapshot answers 200, or 204 when nothing can go',
    '/reap has nothing to merge, unlike in rqlite',
  ),
  '`/db/sql` shows random numbers': see('/db/sql shows statements as they would be run, and runs nothing'),
  "the schema holds the user's tables only": see(
    'the tables of the node itself are listed, and cannot be read or written, unlike in rqlite',
  ),
  'the name of a column without AS': see('words in double quotes that name no column are strings'),
  '`/status`: Go': see('/status has the keys of rqlite that are true here', '/status tells no path of a key, no argument'),
  '`/status`: `build.commit`': see('/status has the keys of rqlite that are true here'),
  '`/debug/vars`': see('/debug/vars has every map of rqlite', '/debug/vars counts requests, statements and who was let in'),
  '`/debug/pprof`': see('there is no profiler, which is refused by name'),
  'the console at `/console/`': see('there is no console yet, and it says so', '/ leads to /console/ with 302'),
  'a value in a time column': see('DATE, DATETIME and TIMESTAMP columns show times as RFC 3339'),
  'newer versions (10.6) say what failed twice': see(
    'an error of an associative query stands beside empty rows; of execute and request it stands alone',
  ),
  'bytes in a text column': see('bytes are base64, or lists with blob_array'),
  'infinity ends the request': see('what JSON cannot write is null'),
  'named and positional parameters': see('named and positional parameters in one statement are refused, unlike in rqlite'),
  'a bcrypt hash of rqlite': see('a password of 72 bytes and more never matches a hash'),
  '`/db/backup` on a follower': see('a follower makes its own backup behind a barrier'),
  'a backup is the node': see(
    "a binary backup is a sound database with the users' data and nothing of ours",
    'a backup as text holds the tables that were asked for',
  ),
  '`/db/load` believes a file': see('a file that is damaged, or holds what nobody could make here, is refused, and the node goes on'),
  '`/db/load` puts a file': see('a file is examined, then goes through the log step by step'),
  'a loaded file is used': see('every page size and encoding, WAL mode and auto_vacuum come out as one kind of file'),
  '`/db/load` takes any text': see(
    'text is one transaction, answered with its last result',
    'a dump of the sqlite3 shell with virtual tables, and a long one, are loaded into an empty database, unlike in rqlite',
  ),
  '`/boot` goes past': see('boot is for the leader of a cluster of one node, and for files only'),
  'HTTP/2 and HTTP/1.1': { unseen: 'a client that offers both is answered by HTTP/1.1, as every test here is' },
  // Flags
  '`-fk`': see('the leader proposes its own setting of foreign keys, until the cluster has it'),
  '`-auto-optimize-int`': see('the leader proposes PRAGMA optimize in its interval'),
  '`-auto-vacuum-int`': see('the leader proposes VACUUM when the last one is as long ago as its interval says'),
  '`-auto-check-int`': see('the leader begins a check in its interval, and nobody else does', 'POST /check begins one on every node'),
  '`-on-disk`': see('the on-disk family of old versions is refused with what replaced it'),
  '`-node-encrypt`': see('its first node starts with -node-encrypt and -node-no-verify, with a warning for each'),
  '`-join` takes': see('an API address is asked for the Raft address, with the credentials that stand in it'),
  '`-raft-addr :4004`': see('-raft-addr :4004, as the security documents print it'),
  '`-bootstrap-expect`': see('-bootstrap-expect through an API'),
  '`-raft-remove-shutdown`': see(
    '-raft-remove-shutdown: a member that is removed ends by itself',
    'a removed member serves nothing and says so',
  ),
  'The reaper has a guard': see('a voter that stays away is reaped once', 'five voters go down to three and no further'),
  '`-raft-snap`': see('what a node does about members that go, and about its own log'),
  '`-disco-config`': see('-disco-mode takes dns and dns-srv; other words are refused by name', '${mode} refuses ${text.slice(0, 40)}'),
  '`-node-verify-client`': see('verifying and not verifying'),
  '`-raft-leader-lease-timeout`': see('a lease shorter than the election timeout ends leadership sooner, and not before'),
  '`-raft-apply-timeout`': see('a write for which there is no room waits for it'),
  '[flags.md]': see('docs/flags.md says what the table says'),
}
