/**
 * What a reader accepts, whatever the object claims. Every length is held against its cap, and against the
 * object's own size, before memory is allocated for it. All in bytes unless said otherwise.
 */
export const LIMITS = {
  /** Payload of a header record. */
  header: 1 << 20,
  /** Payload of a batch record: 4 MiB of raw pages, and room for masks and tables. */
  batch: 8 << 20,
  /** Payload of a record of disk blocks: a batch, and which disk it is of. */
  blocks: (8 << 20) + 8,
  /** All parts of a device state together, unpacked. */
  deviceState: 256 << 20,
  /** Payload of a device state record. */
  deviceStateRecord: 320 << 20,
  /** Parts of a device state. */
  deviceParts: 65_536,
  /** Payload of an extension record. */
  extension: 64 << 20,
  /** Payload of a summary record. */
  summary: 64 << 10,
  /** Payload of a record of a type that the reader does not know (it is skipped). */
  unknown: 64 << 20,
  /** Metrics within a summary, as JSON. */
  metrics: 16 << 10,
  /** Records in a checkpoint, the index, the summary and the end not counted. */
  records: 2 ** 23,
  /** Checkpoints that one supersedes. */
  superseded: 256,
  /** Checkpoints that a derived one names as what it was made of. */
  merges: 256,
  /** Regions of a machine. */
  regions: 4096,
  /** Disks of a machine. */
  disks: 4096,
  /** Words of the command that started a machine, and their UTF-8 bytes together. */
  words: 4096,
  command: 128 << 10,
  /** UTF-8 bytes of a name or of another short text. */
  text: 4096,
  /** Nesting of a JSON document. */
  jsonDepth: 64,
} as const;
