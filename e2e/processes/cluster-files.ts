// The files that a cluster of real processes is started with: certificates of two CAs, an access file with bcrypt hashes, a data directory a node.
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { makeTestCa, makeTestLeaf } from '../../node/peer/test-certificates.ts'
import type { TestKeyPair } from '../../node/peer/test-certificates.ts'

export interface User {
  readonly name: string
  readonly password: string
  readonly permissions: readonly string[]
  /** In the access file; hashed with bcrypt when absent. */
  readonly stored?: 'cleartext'
}

/** As whom later nodes join: in cleartext, because a node must send its password. */
export const joiner = { username: 'joiner', password: 'a node that may ask to join' } as const

export interface ClusterFiles {
  readonly folder: string
  /** PEM: vouches for the API of every node. */
  readonly apiCa: string
  readonly apiCaFile: string
  readonly nodeCaFile: string
  readonly accessFile: string
  readonly nodes: readonly NodeFiles[]
}

export interface NodeFiles {
  readonly id: string
  readonly dataDir: string
  readonly logFile: string
  readonly httpCert: string
  readonly httpKey: string
  readonly nodeCert: string
  readonly nodeKey: string
}

// What bcrypt's own documentation gives as its default; a production access file has it too.
const bcryptRounds = 10

/** Below a fresh folder in the system's place for temporary files; the caller removes it. */
export function makeClusterFiles(options: {
  readonly nodes: number
  readonly users: readonly User[]
  /** Of node 0, 1, …; loopback when absent. */
  readonly addresses?: readonly string[]
}): ClusterFiles {
  const folder = mkdtempSync(join(tmpdir(), 'securesql-cluster-'))
  const apiCa = makeTestCa('client CA')
  const nodeCa = makeTestCa('node CA')
  const write = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const writePair = (name: string, pair: TestKeyPair): readonly [cert: string, key: string] => [
    write(`${name}.crt`, pair.certificate),
    write(`${name}.key`, pair.key),
  ]
  const nodes = Array.from({ length: options.nodes }, (_, position): NodeFiles => {
    const id = `n${position + 1}`
    const names = ['localhost', options.addresses?.[position] ?? '127.0.0.1']
    const [httpCert, httpKey] = writePair(`${id}-http`, makeTestLeaf(apiCa, { commonName: id, names }))
    const [nodeCert, nodeKey] = writePair(`${id}-node`, makeTestLeaf(nodeCa, { commonName: id, names }))
    mkdirSync(join(folder, id), { mode: 0o700 })
    return { id, dataDir: join(folder, id), logFile: join(folder, `${id}.log`), httpCert, httpKey, nodeCert, nodeKey }
  })
  const entries = options.users.map(({ name, password, permissions, stored }) => ({
    username: name,
    password: stored === 'cleartext' ? password : hashSync(password, bcryptRounds),
    perms: permissions,
  }))
  return {
    folder,
    apiCa: apiCa.certificate,
    apiCaFile: write('api-ca.crt', apiCa.certificate),
    nodeCaFile: write('node-ca.crt', nodeCa.certificate),
    accessFile: write(
      'access.json',
      JSON.stringify([...entries, { ...joiner, perms: ['join', 'join-read-only'] }, { username: '*', perms: ['ready'] }]),
    ),
    nodes,
  }
}
