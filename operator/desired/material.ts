// What only the credentials room can make, as plain values: the Secrets are built from it, and it is read back from them.

export interface PemPair {
  readonly certificatePem: string
  readonly keyPem: string
}

/** The content of the access Secret: the file, and from which version of which Secret each hash was made. */
export interface AccessMaterial {
  /** The access file, bcrypt hashes only. */
  readonly file: string
  /** By user: `uid/resourceVersion` of the Secret that held the password when it was hashed. Says nothing about the password. */
  readonly sources: Readonly<Record<string, string>>
}

export interface Material {
  readonly clientCa: PemPair
  readonly nodeCa: PemPair
  readonly apiLeaf: PemPair
  readonly nodeLeaf: PemPair
  readonly operatorPassword: string
  /** Of the users without a passwordSecret. */
  readonly userPasswords: readonly { readonly user: string; readonly password: string }[]
  readonly access: AccessMaterial
}
