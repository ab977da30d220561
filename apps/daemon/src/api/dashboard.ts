import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FastifyRequest } from 'fastify';
import type { App } from './context.js';

const FOLDER = fileURLToPath(new URL('./dashboard', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
};

/** Nothing from elsewhere, nothing inline, in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const NOT_BUILT = Buffer.from(
  'fitdocd runs. Its dashboard is not part of this build; the API is described in /openapi.json.\n',
);

/**
 * Serves the dashboard's files, read once, at /. They tell nothing of any machine, and whoever asks gets them: the token
 * may stand behind the # of the page's address, which no server sees.
 */
export async function dashboardRoutes(app: App, folder: string = FOLDER): Promise<void> {
  const files = await readFiles(folder);
  const isPublic = (request: FastifyRequest): boolean => files.has(nameOf(request));
  app.get('/*', { schema: { hide: true }, config: { isPublic } }, (request, reply) => {
    const name = nameOf(request);
    const body = files.get(name) ?? (name === 'index.html' ? NOT_BUILT : undefined);
    if (!body) return reply.callNotFound();
    const type = files.has(name) ? TYPES[path.extname(name)] : 'text/plain; charset=utf-8';
    return reply
      .headers({
        'content-security-policy': POLICY,
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        // Files below assets/ have a hash of their contents in their names.
        'cache-control': name.startsWith('assets/') ? 'private, max-age=31536000, immutable' : 'no-cache',
      })
      .type(type ?? 'application/octet-stream')
      .send(body);
  });
}

function nameOf({ params }: FastifyRequest): string {
  return (params as { readonly '*': string })['*'] || 'index.html';
}

async function readFiles(folder: string): Promise<Map<string, Buffer>> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, Buffer>();
  for (const entry of found.filter((each) => each.isFile())) {
    const file = path.join(entry.parentPath, entry.name);
    files.set(path.relative(folder, file).split(path.sep).join('/'), await readFile(file));
  }
  return files;
}
