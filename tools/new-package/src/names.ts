export const KINDS = ['store', 'hypervisor', 'compressor'] as const;
export type Kind = (typeof KINDS)[number];

/** The names that a stamped package uses. */
export interface Names {
  readonly kind: Kind;
  /** As given: `azure-blob`. Also the scheme, or the compressor's name. */
  readonly name: string;
  /** Directory below packages/, and package name without the scope: `store-azure-blob`. */
  readonly folder: string;
  readonly packageName: string;
  /** For types: `AzureBlob`. */
  readonly typeName: string;
}

/** Throws an Error that says what is wrong with the arguments. */
export function parseNames(kind: string | undefined, name: string | undefined): Names {
  if (!KINDS.includes(kind as Kind)) throw new Error(`a package is one of: ${KINDS.join(', ')}`);
  if (name === undefined || !/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) || name.length > 16) {
    throw new Error('a name is 1 to 16 lower-case letters, digits and single dashes, a letter first');
  }
  const folder = `${kind}-${name}`;
  const typeName = name
    .split('-')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
  return { kind: kind as Kind, name, folder, packageName: `@fitdoc/${folder}`, typeName };
}
