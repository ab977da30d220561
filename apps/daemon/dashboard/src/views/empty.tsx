import { linkTo } from '../state/route.js';

const EXAMPLE = `[repositories.local]
location = "/var/lib/fitdoc"
create = true

[machines.web]
location = "kvm:/run/web.qmp"
repository = "local"
every = "1s"`;

export function NoMachines() {
  return (
    <main id="content" class="empty" tabIndex={-1}>
      <h2>No machine is protected yet</h2>
      <p>The daemon runs, and its configuration names no machine. Add one and reload the daemon:</p>
      <pre>{EXAMPLE}</pre>
      <p>
        <code>fitdocd check</code> finds faults in the file, <code>systemctl reload fitdocd</code> takes it
        over. The machine then appears here by itself.
      </p>
    </main>
  );
}

export function UnknownMachine({ name }: { readonly name: string }) {
  return (
    <div class="empty">
      <h2>There is no machine {name}</h2>
      <p>
        The configuration does not name it. <a href={linkTo({})}>Show the first machine</a>
      </p>
    </div>
  );
}
