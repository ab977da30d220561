const KEPT = 'fitdoc:token';

/** Of this tab, until it is closed; undefined where the browser knows the token by itself, or none is needed. */
let token: string | undefined;

/**
 * Takes the token out of the page's address: nobody is to read it there, keep it as a bookmark or send it on. It may
 * stand in `?token=`, in `#token=` (a route may follow behind `&`), or as the password of `http://operator:TOKEN@HOST/`.
 * False where the page is loaded anew for that.
 */
export function takeToken(): boolean {
  const base = new URL(document.baseURI);
  const [hashToken, route] = tokenOfHash();
  const query = new URLSearchParams(location.search);
  const given = hashToken ?? query.get('token') ?? (base.password === '' ? undefined : decode(base.password));
  if (given !== undefined) sessionStorage.setItem(KEPT, given);
  token = given ?? sessionStorage.getItem(KEPT) ?? undefined;
  query.delete('token');
  const search = query.size > 0 ? `?${query.toString()}` : '';
  const clean = `${location.origin}${location.pathname}${search}${route}`;
  // A page whose own address holds a password may not be renamed: it is loaded anew.
  if (base.username !== '' || base.password !== '') {
    location.replace(clean);
    return false;
  }
  if (given !== undefined) history.replaceState(null, '', clean);
  return true;
}

/** What is sent with every request. */
export function credentials(): Readonly<Record<string, string>> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** The daemon did not accept it: the browser is to ask for another. */
export function forgetToken(): void {
  sessionStorage.removeItem(KEPT);
  token = undefined;
}

function tokenOfHash(): [string | undefined, string] {
  const { hash } = location;
  if (!hash.startsWith('#token=')) return [undefined, hash];
  const [value = '', ...rest] = hash.slice('#token='.length).split('&');
  return [decode(value), rest.length > 0 ? `#${rest.join('&')}` : ''];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
