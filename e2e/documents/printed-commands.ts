// The command lines of both rqlite security documents as they are printed, the repairs that they need before any shell would run them as meant, and the replacements
// that a test needs. A repair or replacement that no longer finds its text fails the test: none can stay behind unnoticed.

/** `older`: the document of December 2022. `current`: the one of version 8 and later. */
export const printed = {
  current: {
    firstNode: String.raw`rqlited -auth config.json -http-cert server.crt -http-key key.pem \
-node-cert node.crt -node-key node-key.pem ~/node.1`,
    secondNode: String.raw`rqlited -auth config.json -http-addr localhost:4003 -http-cert server.crt \
-http-key key.pem -raft-addr :4004 -join localhost:4002 -join-as bob
-node-cert node.crt -node-key node-key.pem ~/node.2`,
  },
  older: {
    firstNode: String.raw`rqlited -auth config.json -http-cert server.crt -http-key key.pem \
-node-encrypt -node-cert node.crt -node-key node-key.pem -node-no-verify \
`,
    secondNode: String.raw`rqlited -auth config.json -http-addr localhost:4003 -http-cert server.crt \
-http-key key.pem -raft-addr :4004 -join https://bob:secret1@localhost:4001 \
-node-encrypt -node-cert node.crt -node-key node-key.pem -node-no-verify \
`,
    joinAs: String.raw`rqlited -auth config.json -http-addr localhost:4003 -http-cert server.crt \
-http-key key.pem -raft-addr :4004 -join https://localhost:4001 -join-as bob \
-node-encrypt -node-cert node.crt -node-key node-key.pem -node-no-verify \
`,
  },
  /** The same in both. */
  query: String.raw`curl -G 'https://mary:secret2@localhost:4001/db/query?pretty&timings' \
--data-urlencode 'q=SELECT * FROM foo'`,
  /** From the older document; the current one leaves the choice of a recipe to the reader. */
  certificate: 'openssl req -x509 -nodes -newkey rsa:4096 -keyout key.pem -out cert.pem -days 365',
  /** The older document's hash for mary, said to stand for secret2. It does not. */
  hashOfMary: '$2a$10$fKRHxrEuyDTP6tXIiDycr.nyC8Q7UMIfc31YMyXHDLgRDyhLK3VFS',
} as const

export interface Change {
  readonly from: string
  readonly to: string
  readonly why: string
}

/** Repairs of the documents themselves. */
export const repairs = {
  missingBackslash: { from: '-join-as bob\n', to: '-join-as bob \\\n', why: 'the line ends without the backslash that continues it' },
  firstDataDirectory: {
    from: '-node-no-verify \\\n',
    to: '-node-no-verify ~/node.1\n',
    why: 'the command ends in a backslash where the data directory should stand',
  },
  secondDataDirectory: {
    from: '-node-no-verify \\\n',
    to: '-node-no-verify ~/node.2\n',
    why: 'the command ends in a backslash where the data directory should stand',
  },
  thirdDataDirectory: {
    from: '-node-no-verify \\\n',
    to: '-node-no-verify ~/node.3\n',
    why: 'the command ends in a backslash where the data directory should stand',
  },
  ownNodeCa: {
    from: '-node-cert node.crt',
    to: '-node-ca-cert node.crt -node-cert node.crt',
    why: 'a certificate made by the recipe is vouched for by nobody but itself',
  },
  unverifiedApi: {
    from: '-auth config.json',
    to: '-auth config.json -http-no-verify',
    why: 'the older document asks for it in its text wherever no authority has signed',
  },
} as const satisfies Record<string, Change>

/** Applies each change once; a text that does not hold what is to be changed is a mistake of the test. */
export function change(command: string, changes: readonly Change[]): string {
  return changes.reduce((text, { from, to, why }) => {
    if (!text.includes(from)) throw new Error(`nothing to change (${why}): ${JSON.stringify(from)} is not in ${JSON.stringify(text)}`)
    return text.replace(from, () => to)
  }, command)
}

/** Words as a shell would see them: continued lines joined, single quotes removed. Double quotes and variables do not occur. */
export function words(command: string): readonly string[] {
  const joined = command.replaceAll('\\\n', ' ')
  const found = [...joined.matchAll(/'([^']*)'|(\S+)/g)]
  return found.map(([, quoted, plain]) => quoted ?? plain ?? '')
}
