import { isFitdocError } from '@fitdoc/interface';
import { codecOr } from './default-codec.js';
import { PREFIX_SIZE, RECORD_HEADER_SIZE, RECORD_INDEX, recordSize, typeName } from './layout.js';
import { checkLength, checkType } from './open.js';
import { decodePrefix } from './prefix.js';
import { readExactly, type RangedSource } from './ranged-source.js';
import { openCheckpoint, type OpenOptions } from './reader.js';
import { decodeRecordHeader, openWholeRecord } from './record.js';
import { findingOf, type Finding, type VerifyOptions, type VerifyReport } from './verify.js';

/**
 * Verifies an object that may not even open. Where it opens this is `CheckpointReader.verify`; where it does
 * not, the first finding says why, and with `data` the records are walked from the front by their own headers,
 * so that the report shows how far the object is intact. Rejects with ABORTED or the source's error.
 */
export async function verifyCheckpoint(
  source: RangedSource,
  options: VerifyOptions & Pick<OpenOptions, 'codec' | 'extensions'> = {},
): Promise<VerifyReport> {
  try {
    const reader = await openCheckpoint(source, { ...options, codec: await codecOr(options.codec) });
    return await reader.verify(options);
  } catch (error) {
    const findings = [asFinding(error)];
    if (options.data !== true) return { ok: false, findings, checkedRecords: 0, records: 0, checkedBytes: 0 };
    return walk(source, findings, options);
  }
}

async function walk(
  source: RangedSource,
  findings: Finding[],
  options: VerifyOptions,
): Promise<VerifyReport> {
  let [records, checkedBytes] = [0, PREFIX_SIZE];
  try {
    decodePrefix(await readExactly(source, 0, Math.min(PREFIX_SIZE, source.size), options.signal));
    for (;;) {
      const size = await walkRecord(source, checkedBytes, findings, options.signal);
      if (size === 0) break;
      records += 1;
      checkedBytes += size;
      options.onProgress?.({ phase: 'verifying', done: checkedBytes, total: source.size, unit: 'bytes' });
    }
  } catch (error) {
    const finding = asFinding(error);
    if (finding.message !== findings[0]?.message) findings.push({ offset: checkedBytes, ...finding });
  }
  return { ok: false, findings, checkedRecords: records, records, checkedBytes };
}

/** Checks the record at `offset`; gives its size, or 0 when it is the index. Throws where the next cannot be found. */
async function walkRecord(
  source: RangedSource,
  offset: number,
  findings: Finding[],
  signal?: AbortSignal,
): Promise<number> {
  const header = decodeRecordHeader(await readExactly(source, offset, RECORD_HEADER_SIZE, signal));
  if (header.type === RECORD_INDEX) return 0;
  checkLength({ ...header, offset });
  const size = recordSize(header.length);
  const record = await readExactly(source, offset, size, signal);
  try {
    openWholeRecord(record, header, offset);
    checkType({ ...header, offset });
  } catch (error) {
    findings.push({ ...asFinding(error), record: typeName(header.type), offset });
  }
  return size;
}

/** What is wrong with the checkpoint, as a finding; any other error goes on its way. */
function asFinding(error: unknown): Finding {
  if (!isFitdocError(error) || !/^(?:FORMAT|CODEC)_/.test(error.code)) throw error;
  return findingOf(error);
}
