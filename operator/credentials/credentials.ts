// Port: everything in the operator that needs randomness, cryptography or CPU time of its own. The reconciler decides *what* is needed and calls this;
// implementations: `own-credentials.ts` (node:crypto, an X.509 library, a worker thread for bcrypt) and a fast twin for tests.

/** PEM texts. The key is PKCS #8. */
export interface KeyPair {
  readonly certificatePem: string
  readonly keyPem: string
}

/** `client`: signs the certificate of the API. `node`: signs the certificate of the Raft port. Kept apart, so that neither opens the other's door. */
export type Authority = 'client' | 'node'

export interface CaRequest {
  readonly authority: Authority
  /** For the subject alone; nothing trusts it. */
  readonly clusterName: string
  readonly nowMs: number
}

export interface LeafRequest {
  readonly authority: Authority
  readonly commonName: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly ca: KeyPair
  readonly nowMs: number
}

export interface Credentials {
  issueCa(request: CaRequest): Promise<KeyPair>
  issueLeaf(request: LeafRequest): Promise<KeyPair>
  /** 32 random characters that need no escaping in a URL, a header or a shell. */
  newPassword(): string
  /** A bcrypt hash. The password has at most `bcryptPasswordBytesMax` bytes. */
  hashPassword(password: string): Promise<string>
  /** Whether `hash` is a bcrypt hash of `password`; false for anything that is not a bcrypt hash. */
  passwordMatches(password: string, hash: string): Promise<boolean>
  close(): Promise<void>
}
