// The real implementation of the credentials port.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { BcryptThread } from './bcrypt-thread.ts'
import { bcryptPasswordBytesMax } from '../../contract/access-file.ts'
import type { CaRequest, Credentials, KeyPair, LeafRequest } from './credentials.ts'
import { issueCa, issueLeaf } from './x509-issuer.ts'

/** 2^10 rounds, about 70 ms with bcryptjs. Nodes verify with the same cost, and cache what they verified. */
const bcryptCost = 10
// 24 bytes are 192 bits and 32 characters of base64url: far below bcrypt's limit, far above what can be guessed.
const passwordBytes = 24

export class OwnCredentials implements Credentials {
  readonly #bcrypt = new BcryptThread()
  readonly #cost: number

  /** Tests that hash often choose a lower cost. */
  constructor(options: { readonly bcryptCost?: number } = {}) {
    this.#cost = options.bcryptCost ?? bcryptCost
  }

  issueCa(request: CaRequest): Promise<KeyPair> {
    return issueCa(request)
  }

  issueLeaf(request: LeafRequest): Promise<KeyPair> {
    return issueLeaf(request)
  }

  newPassword(): string {
    return randomBytes(passwordBytes).toString('base64url')
  }

  hashPassword(password: string): Promise<string> {
    assert(
      password.length > 0 && Buffer.byteLength(password) <= bcryptPasswordBytesMax,
      'the caller refuses passwords that bcrypt would cut',
    )
    return this.#bcrypt.hash(password, this.#cost)
  }

  passwordMatches(password: string, hash: string): Promise<boolean> {
    return this.#bcrypt.matches(password, hash)
  }

  close(): Promise<void> {
    return this.#bcrypt.close()
  }
}
