// The log's disk as a directory of the file system.
import { closeSync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { LogDisk, LogFile } from './log-disk.ts'

export class DirectoryDisk implements LogDisk {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  names(): readonly string[] {
    return readdirSync(this.#directory)
  }

  create(name: string): LogFile {
    return new DirectoryFile(openSync(join(this.#directory, name), 'wx', 0o600))
  }

  open(name: string): LogFile {
    return new DirectoryFile(openSync(join(this.#directory, name), 'r+'))
  }

  remove(name: string): void {
    rmSync(join(this.#directory, name))
  }

  syncDirectory(): void {
    syncDirectory(this.#directory)
  }
}

/** Makes the names in a directory durable: without it a new or renamed file may be gone after a power failure, whatever was synced into it. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

class DirectoryFile implements LogFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  size(): number {
    return fstatSync(this.#descriptor).size
  }

  read(into: Uint8Array, position: number): void {
    let read = 0
    while (read < into.length) {
      const count = readSync(this.#descriptor, into, read, into.length - read, position + read)
      if (count === 0) throw new Error('the file is shorter than what should stand in it')
      read += count
    }
  }

  write(bytes: Uint8Array, position: number): void {
    let written = 0
    while (written < bytes.length) written += writeSync(this.#descriptor, bytes, written, bytes.length - written, position + written)
  }

  sync(): void {
    fdatasyncSync(this.#descriptor)
  }

  truncate(length: number): void {
    ftruncateSync(this.#descriptor, length)
    fsyncSync(this.#descriptor)
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}
