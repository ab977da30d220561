import { FitdocError } from '@fitdoc/interface';

/** What `xl` puts in front of its streams: flags, and the domain's configuration as JSON. */
export interface XlHeader {
  readonly mandatoryFlags: number;
  readonly optionalFlags: number;
  /** libxl's configuration of the domain; empty when the stream has none. */
  readonly config: string;
}

/** The libxc image: what kind of guest, and the Xen that wrote it. */
export interface ImageHeader {
  /** 1 PV, 2 HVM or PVH. */
  readonly guestType: number;
  readonly xenMajor: number;
  readonly xenMinor: number;
}

export const GUEST_PV = 1;
export const GUEST_HVM = 2;

export const XL_HEADER_SIZE = 48;
export const LIBXL_HEADER_SIZE = 16;
export const IMAGE_HEADER_SIZE = 40;

const XL_MAGIC = new TextEncoder().encode('Xen saved domain, xl format\n \0 \r');
const XL_BYTE_ORDER = 0x01020304;
const FLAG_JSON = 1;
const FLAG_STREAM_V2 = 2;
const LIBXL_IDENT = 0x4c6962786c466d74n;
const LIBXL_VERSION = 2;
const XENF = 0x58454e46;
const IMAGE_VERSION = 3;
const ALL_ONES = 0xffffffffffffffffn;

/** A view with the right bounds, for reading and writing numbers. */
export function dataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function foreign(what: string): FitdocError {
  return new FitdocError('FORMAT_FOREIGN', `This is not ${what}.`, {
    hint: 'Give a stream or file written by `xl save`, `xl migrate` or `xl remus` of Xen 4.6 or later.',
  });
}

function unsupported(what: string): FitdocError {
  return new FitdocError('FORMAT_UNSUPPORTED', `The Xen stream ${what}.`, {
    hint: 'Write it with an x86 Xen between 4.14 and 4.19, whose stream layout this adapter knows.',
  });
}

/** Reads xl's fixed header; gives the length of the optional data that follows. */
export function decodeXlHeader(bytes: Uint8Array): { header: Omit<XlHeader, 'config'>; optional: number } {
  if (!XL_MAGIC.every((byte, index) => bytes[index] === byte)) throw foreign('an xl stream');
  const view = dataView(bytes);
  if (view.getUint32(32, true) !== XL_BYTE_ORDER) throw unsupported('has another byte order');
  const mandatoryFlags = view.getUint32(36, true);
  if ((mandatoryFlags & ~(FLAG_JSON | FLAG_STREAM_V2)) !== 0)
    throw unsupported('needs features unknown here');
  if ((mandatoryFlags & FLAG_STREAM_V2) === 0) throw unsupported('has the layout of Xen before 4.6');
  const header = { mandatoryFlags, optionalFlags: view.getUint32(40, true) };
  return { header, optional: view.getUint32(44, true) };
}

/** Reads the optional data: the configuration, with its length in front and a NUL behind. */
export function decodeXlConfig(bytes: Uint8Array): string {
  if (bytes.length === 0) return '';
  const length = bytes.length < 4 ? Infinity : dataView(bytes).getUint32(0, true);
  if (4 + length > bytes.length) {
    throw new FitdocError('FORMAT_DAMAGED', 'The configuration in the xl header is longer than its field.');
  }
  const text = bytes.subarray(4, 4 + length);
  const end = text.indexOf(0);
  return Buffer.from(end < 0 ? text : text.subarray(0, end)).toString('utf8');
}

/** Writes xl's header with the configuration behind it. */
export function encodeXlHeader(header: XlHeader): Uint8Array {
  const config = header.config === '' ? new Uint8Array() : Buffer.from(`${header.config}\0`, 'utf8');
  const optional = config.length === 0 ? 0 : 4 + config.length;
  const bytes = new Uint8Array(XL_HEADER_SIZE + optional);
  const view = dataView(bytes);
  bytes.set(XL_MAGIC);
  view.setUint32(32, XL_BYTE_ORDER, true);
  view.setUint32(36, header.mandatoryFlags, true);
  view.setUint32(40, header.optionalFlags, true);
  view.setUint32(44, optional, true);
  if (optional > 0) view.setUint32(XL_HEADER_SIZE, config.length, true);
  bytes.set(config, XL_HEADER_SIZE + Math.min(4, optional));
  return bytes;
}

/** Flags of a stream that this package writes: JSON configuration, version 2. */
export const XL_FLAGS = FLAG_JSON | FLAG_STREAM_V2;

export function checkLibxlHeader(bytes: Uint8Array): void {
  const view = dataView(bytes);
  if (view.getBigUint64(0) !== LIBXL_IDENT) throw foreign('a libxl stream');
  if (view.getUint32(8) !== LIBXL_VERSION) throw unsupported(`has libxl version ${view.getUint32(8)}`);
  if (view.getUint32(12) !== 0) throw unsupported('is big-endian or of the legacy kind');
}

export function encodeLibxlHeader(): Uint8Array {
  const bytes = new Uint8Array(LIBXL_HEADER_SIZE);
  dataView(bytes).setBigUint64(0, LIBXL_IDENT);
  dataView(bytes).setUint32(8, LIBXL_VERSION);
  return bytes;
}

export function decodeImageHeader(bytes: Uint8Array): ImageHeader {
  const view = dataView(bytes);
  if (view.getBigUint64(0) !== ALL_ONES || view.getUint32(8) !== XENF) throw foreign('a libxc image');
  if (view.getUint32(12) !== IMAGE_VERSION) throw unsupported(`has libxc version ${view.getUint32(12)}`);
  if (view.getUint16(16) !== 0) throw unsupported('is big-endian');
  const guestType = view.getUint32(24, true);
  if (guestType !== GUEST_PV && guestType !== GUEST_HVM) throw unsupported(`holds guest type ${guestType}`);
  if (view.getUint16(28, true) !== 12) throw unsupported('has pages that are not 4 KiB');
  return { guestType, xenMajor: view.getUint32(32, true), xenMinor: view.getUint32(36, true) };
}

export function encodeImageHeader(image: ImageHeader): Uint8Array {
  const bytes = new Uint8Array(IMAGE_HEADER_SIZE);
  const view = dataView(bytes);
  view.setBigUint64(0, ALL_ONES);
  view.setUint32(8, XENF);
  view.setUint32(12, IMAGE_VERSION);
  view.setUint32(24, image.guestType, true);
  view.setUint16(28, 12, true);
  view.setUint32(32, image.xenMajor, true);
  view.setUint32(36, image.xenMinor, true);
  return bytes;
}
