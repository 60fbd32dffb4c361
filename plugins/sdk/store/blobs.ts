/** A flat space of named bytes, such as a bucket: all that `BlobStore` needs to be an artifact store. */

/** One of the named bytes. */
export interface BlobInfo {
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was last written or touched, in milliseconds since 1970. */
  readonly usedMs: number;
}

/** Names are made of letters, digits, `.`, `-` and `/`. What a method returned is durable and seen by every host. */
export interface BlobsV1 {
  /** Where it is, for messages. */
  readonly location: string;
  /** The bytes; null when there are none of this name. */
  read(name: string): Promise<Buffer | null>;
  /** Writes all bytes or none. With `ifAbsent`: false, and nothing written, when the name is taken. */
  write(name: string, bytes: Uint8Array, options?: { readonly ifAbsent?: boolean }): Promise<boolean>;
  /** Stores a file of any size under a name. */
  upload(name: string, path: string): Promise<void>;
  /** Writes the bytes to a new file. False when there are none of this name. */
  download(name: string, path: string): Promise<boolean>;
  /** Null when there are none of this name. */
  stat(name: string): Promise<BlobInfo | null>;
  /** Marks as used now. False when there are none of this name. */
  touch(name: string): Promise<boolean>;
  /** Everything whose name starts with the prefix. */
  list(prefix: string): Promise<readonly BlobInfo[]>;
  /** Removes; nothing happens when there are none of this name. */
  remove(name: string): Promise<void>;
  /** Ends connections. */
  close(): Promise<void>;
}
