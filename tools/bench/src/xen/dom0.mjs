// Runs in dom0: times captures of a domain by the dirty log. Prints JSON.
import { hypervisor } from '@fitdoc/hypervisor-xen';

const [domain, count] = process.argv.slice(2);
const machine = await hypervisor.attach(domain);
const last = machine.info.regions.at(-1);
const memory = new Uint8Array((last.firstGfn + last.pages) * 4096);
const view = (gfn, pages) => memory.subarray(gfn * 4096, (gfn + pages) * 4096);
const sink = { reserve: () => false, place: view, zero: (gfn, pages) => void view(gfn, pages).fill(0) };
const captures = [];
for (let index = 0; index <= Number(count); index++) {
  const start = performance.now();
  const harvest = await machine.capture(sink);
  captures.push({ kind: harvest.kind, ms: performance.now() - start, pauseMs: harvest.pauseMs });
  await harvest.commit();
  await new Promise((done) => setTimeout(done, 500));
}
await machine.detach();
console.log(JSON.stringify(captures.slice(1)));
process.exit(0);
