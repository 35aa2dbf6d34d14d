// Files that clients send: one at a time, in a directory of its own, gone when its request is over, and at start what a crash has left.
import { closeSync, openSync, rmSync } from 'node:fs'
import { mkdir, open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { fail, ok, type Result } from '../../runtime/result.ts'
import type { FileForm, FileIntake, FileProblem, IncomingFile, SoundFile } from '../api/file-intake.ts'
import { examineFile } from './file-examination.ts'

/** Bytes that this process may still write there. */
export type ReadFreeBytes = () => number

/** What the node itself needs to go on. */
const freeBytesMin = 64 * 1024 * 1024
/** Written anew when it is examined; then once in the log, once in the database, and once as the next database. */
const copiesAhead = 4
/** Longer files are copied into place by hand (operations.md): every node keeps the log of it for a while. */
const fileBytesMax = 16 * 2 ** 30
/** Looking for room costs a system call. */
const lookEveryBytes = 8 * 1024 * 1024

const noSpace: FileProblem = {
  code: 'no_space',
  message: `no room for the file: ${copiesAhead} times its size must be free while it is loaded`,
}

export class FileInbox implements FileIntake {
  readonly #directory: string
  readonly #readFreeBytes: ReadFreeBytes
  #isBusy = false

  constructor(options: { readonly directory: string; readonly readFreeBytes: ReadFreeBytes }) {
    this.#directory = options.directory
    this.#readFreeBytes = options.readFreeBytes
    rmSync(this.#directory, { recursive: true, force: true })
  }

  begin(): Result<IncomingFile, FileProblem> {
    if (this.#isBusy) return fail({ code: 'overloaded', message: 'another file is being loaded; try again' })
    this.#isBusy = true
    return ok(
      new Incoming(this.#directory, this.#readFreeBytes, () => {
        this.#isBusy = false
      }),
    )
  }
}

class Incoming implements IncomingFile {
  readonly #directory: string
  readonly #readFreeBytes: ReadFreeBytes
  readonly #onEnded: () => void
  #file: FileHandle | undefined
  #sound: FileHandle | undefined
  #bytes = 0
  #lookAtBytes = 0

  constructor(directory: string, readFreeBytes: ReadFreeBytes, onEnded: () => void) {
    this.#directory = directory
    this.#readFreeBytes = readFreeBytes
    this.#onEnded = onEnded
  }

  async write(bytes: Uint8Array): Promise<Result<void, FileProblem>> {
    if (this.#bytes + bytes.length > fileBytesMax)
      return fail({ code: 'file_refused', message: `a file of more than ${fileBytesMax} bytes is not loaded through the log` })
    if (this.#bytes >= this.#lookAtBytes) {
      // What is here already has been taken from the free bytes once.
      if (this.#readFreeBytes() < copiesAhead * this.#bytes + lookEveryBytes + freeBytesMin) return fail(noSpace)
      this.#lookAtBytes = this.#bytes + lookEveryBytes
    }
    this.#file ??= await this.#create()
    try {
      for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at)).bytesWritten
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return fail(noSpace)
      throw error
    }
    this.#bytes += bytes.length
    return ok(undefined)
  }

  async examine(options: { readonly form: FileForm; readonly isAbandoned: () => boolean }): Promise<Result<SoundFile, FileProblem>> {
    await this.#file?.close()
    this.#file = undefined
    if (this.#readFreeBytes() < copiesAhead * this.#bytes + freeBytesMin) return fail(noSpace)
    const output = join(this.#directory, 'sound.sqlite')
    // Before the other process does, with the rights that it must have.
    closeSync(openSync(output, 'wx', 0o600))
    const examined = await examineFile({ path: this.#path, output, ...options })
    if (!examined.ok) return examined
    await rm(this.#path, { force: true })
    const sound = await open(output, 'r')
    this.#sound = sound
    const { bytes, hash } = examined.value
    // What a text becomes may be larger than it was.
    if (this.#readFreeBytes() < (copiesAhead - 1) * bytes + freeBytesMin) return fail(noSpace)
    return ok({
      bytes,
      hash,
      read: async (offset, length) => {
        const buffer = new Uint8Array(Math.max(0, Math.min(length, bytes - offset)))
        for (let at = 0; at < buffer.length;) {
          const { bytesRead } = await sound.read(buffer, at, buffer.length - at, offset + at)
          if (bytesRead === 0) return buffer.subarray(0, at)
          at += bytesRead
        }
        return buffer
      },
    })
  }

  async discard(): Promise<void> {
    await this.#file?.close()
    await this.#sound?.close()
    await rm(this.#directory, { recursive: true, force: true })
    this.#onEnded()
  }

  get #path(): string {
    return join(this.#directory, 'given.sqlite')
  }

  async #create(): Promise<FileHandle> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
    return open(this.#path, 'wx', 0o600)
  }
}
