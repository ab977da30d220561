/** A location as it may be shown: user information of a URL loses its password. */
export function withoutSecrets(location: string): string {
  return location.replace(/(\/\/[^/@:\s]*):[^/@\s]*@/, '$1:***@');
}
