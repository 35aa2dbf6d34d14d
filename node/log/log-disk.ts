// Port: the few things that the log does with a disk. Owned by the log; `directory-disk.ts` is the real one, `memory-disk.ts` the one that fails, lies and tears.
// All calls are synchronous: they are made on a thread that has nothing else to do, and a synchronous fdatasync is the fastest there is (no libuv pool to share).

export interface LogFile {
  size(): number
  /** Fills `into` from `position` on; throws when the file is shorter. */
  read(into: Uint8Array, position: number): void
  /** Writes all of `bytes` at `position`; a short write goes on until done or until the disk refuses. */
  write(bytes: Uint8Array, position: number): void
  /** fdatasync: data and length. */
  sync(): void
  /** Durable when it returns. */
  truncate(length: number): void
  close(): void
}

export interface LogDisk {
  names(): readonly string[]
  /** Fails when the name exists. The name is durable only after syncDirectory, whatever is synced into the file. */
  create(name: string): LogFile
  open(name: string): LogFile
  remove(name: string): void
  /** Makes created and removed names durable. */
  syncDirectory(): void
}
