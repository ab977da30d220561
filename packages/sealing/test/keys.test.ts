import { MemoryStore } from '@fitdoc/store-memory';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import {
  KeyRing,
  KeySlots,
  newKeyText,
  parseKeyFile,
  parsePassphrase,
  passphraseOfCommand,
  printKey,
  wipeSecret,
  type Holder,
  type Secret,
} from '../src/index.js';
import { rewrite } from './support/data.js';

/** What a passphrase costs in tests: nearly nothing. */
const scrypt = { cost: 1024, blockSize: 8, parallelization: 1 };
const word = (text: string, from = 'of a test'): Secret => parsePassphrase(Buffer.from(text), from);

async function place(...holders: Holder[]) {
  const store = new MemoryStore();
  const slots = new KeySlots(store, 'repository', { scrypt });
  const ring = KeyRing.create();
  for (const [index, holder] of holders.entries()) await slots.add(ring, holder, `number ${index}`);
  return { store, slots, ring };
}

describe('slots', () => {
  it('open with each of their secrets, and give the same keys', async () => {
    const identity = await generateIdentity();
    const key = parseKeyFile(newKeyText(), 'file k');
    const recipient = { kind: 'recipient', recipient: await identityToRecipient(identity) } as const;
    const { slots, ring, store } = await place(word('one'), word('two'), key, recipient);
    for (const secret of [word('one'), word('two'), key, parseKeyFile(`# made\n${identity}\n`, 'file i')]) {
      const { ring: opened } = await slots.unlock([secret]);
      expect(opened.encode().equals(ring.encode())).toBe(true);
    }
    for (const { id } of await slots.list()) {
      const bytes = Buffer.from(await store.get(`keys/${id}.json`));
      for (const form of ['hex', 'base64', 'latin1'] as const)
        expect(bytes.includes(ring.encode().toString(form))).toBe(false);
    }
  });

  it('do not open with another secret: it is said which was tried, and what there is', async () => {
    const { slots } = await place(word('right'), parseKeyFile(newKeyText(), 'k'));
    const wrong = await slots.unlock([word('wrong', 'in /etc/pass')]).catch((error: Error) => error);
    expect(wrong).toMatchObject({
      code: 'KEY_WRONG',
      message: 'The passphrase in /etc/pass is wrong for the repository in memory:.',
      hint: expect.stringContaining('a passphrase "number 0" (--passphrase-file)') as string,
    });
    expect(JSON.stringify(wrong)).not.toContain('wrong"');
    const otherKey = parseKeyFile(newKeyText(), 'file /k');
    await expect(slots.unlock([otherKey])).rejects.toMatchObject({
      code: 'KEY_WRONG',
      message: 'The key file /k is not one of the repository in memory:.',
    });
    const identity = parseKeyFile(await generateIdentity(), 'file /i');
    await expect(slots.unlock([identity])).rejects.toThrow('The identity file /i is no recipient of');
    const onlyKeys = await place(parseKeyFile(newKeyText(), 'k'));
    await expect(onlyKeys.slots.unlock([word('x')])).rejects.toThrow('opens with no passphrase');
    const none = await place();
    await expect(none.slots.unlock([word('x')])).rejects.toMatchObject({ code: 'REPOSITORY_DAMAGED' });
  });

  it('open for no other repository, under no other id, and not when anything of them was changed', async () => {
    const key = parseKeyFile(newKeyText(), 'k');
    const identity = parseKeyFile(await generateIdentity(), 'i');
    for (const secret of [word('p'), key, identity]) {
      const { store, slots } = await place(secret);
      const [slot] = await slots.list();
      await expect(new KeySlots(store, 'another').unlock([secret])).rejects.toMatchObject({
        code: 'REPOSITORY_DAMAGED',
      });
      const another = new MemoryStore();
      const renamed = { ...slot!, repository: 'another' };
      await another.put(`keys/${slot!.id}.json`, Buffer.from(JSON.stringify(renamed)));
      await expect(new KeySlots(another, 'another').unlock([secret])).rejects.toMatchObject({
        code: 'KEY_WRONG',
      });
      const moved = { ...slot!, id: 'ffffffffffffffff' };
      await store.put('keys/ffffffffffffffff.json', Buffer.from(JSON.stringify(moved)));
      await store.delete(`keys/${slot!.id}.json`);
      await expect(slots.unlock([secret])).rejects.toMatchObject({ code: 'KEY_WRONG' });
      const wrapped = Buffer.from(slot!.wrapped, 'base64');
      wrapped[wrapped.length - 20]! ^= 1;
      const changed = { ...slot!, wrapped: wrapped.toString('base64') };
      await store.put(`keys/${slot!.id}.json`, Buffer.from(JSON.stringify(changed)));
      await expect(slots.unlock([secret])).rejects.toMatchObject({ code: 'KEY_WRONG' });
    }
  });

  it('that say of their keys what is not so are refused: old ones are not taken for newer, nor newer for old', async () => {
    for (const secret of [
      word('p'),
      parseKeyFile(newKeyText(), 'k'),
      parseKeyFile(await generateIdentity(), 'i'),
    ]) {
      const { store, slots, ring } = await place(secret);
      const [old] = await slots.list();
      const later = ring.extended();
      const newest = await slots.add(later, secret, '');
      for (const changed of [
        { ...old!, keys: 9 },
        { ...old!, keyId: later.currentId, keys: 9 },
        { ...newest, keyId: ring.currentId },
        { ...newest, keys: 3 },
      ]) {
        const [key, before] = [`keys/${changed.id}.json`, await store.get(`keys/${changed.id}.json`)];
        await store.put(key, Buffer.from(JSON.stringify(changed)), { mode: 'replace' });
        await expect(slots.unlock([secret])).rejects.toMatchObject({
          code: 'REPOSITORY_DAMAGED',
          details: { slot: changed.id },
        });
        await store.put(key, before, { mode: 'replace' });
        expect((await slots.unlock([secret])).ring.currentId).toBe(later.currentId);
      }
    }
  });

  it('ask for no more work than is borne: it is said before any is done, and hinders no key', async () => {
    const key = parseKeyFile(newKeyText(), 'k');
    const { store, slots, ring } = await place(key, word('p'));
    const slot = (await slots.list()).find(({ kind }) => kind === 'passphrase')!;
    const dear = { name: 'scrypt', cost: 2 ** 20, blockSize: 8, parallelization: 8, salt: '00'.repeat(16) };
    for (const digit of ['a', 'b']) {
      const id = digit.repeat(16);
      await store.put(`keys/${id}.json`, Buffer.from(JSON.stringify({ ...slot, id, kdf: dear })));
    }
    expect(await slots.list()).toHaveLength(4);
    const refused = { code: 'REPOSITORY_DAMAGED', message: expect.stringContaining('16.0 GiB') as string };
    await expect(slots.unlock([word('p')])).rejects.toMatchObject(refused);
    await expect(slots.rotate(ring, [key, word('p')])).rejects.toMatchObject(refused);
    await expect(slots.add(ring, word('q'), '')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect((await slots.unlock([key])).ring.currentId).toBe(ring.currentId);
    // Nor is more read of one than a slot can have.
    await store.put('keys/cccccccccccccccc.json', Buffer.alloc(3 * 2 ** 20, ' '));
    expect(await slots.list()).toHaveLength(4);
  });

  it('that cannot be read are no slots; one that asks for too much memory is none; a later version is said', async () => {
    const { store, slots } = await place(word('p'));
    const [slot] = await slots.list();
    await store.put('keys/junk.json', Buffer.from('{'));
    await store.put('keys/aaaaaaaaaaaaaaaa.json', Buffer.from(JSON.stringify(slot)));
    expect(await slots.list()).toHaveLength(1);
    await rewrite(store, `keys/${slot!.id}.json`, (bytes) =>
      Buffer.from(bytes.toString().replace('"cost": 1024', '"cost": 1073741824')),
    );
    expect(await slots.list()).toHaveLength(0);
    await rewrite(store, `keys/${slot!.id}.json`, (bytes) =>
      Buffer.from(bytes.toString().replace('fitdoc-key-v1', 'fitdoc-key-v2')),
    );
    await expect(slots.list()).rejects.toMatchObject({ code: 'FORMAT_VERSION' });
  });

  it('are removed, but not the last', async () => {
    const { slots } = await place(word('one'), word('two'));
    const [first, second] = await slots.list();
    await expect(slots.remove('zz')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await expect(slots.remove('')).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    await slots.remove(first!.id.slice(0, 10));
    await expect(slots.remove(second!.id)).rejects.toThrow('last key slot');
    expect(await slots.list()).toEqual([second]);
  });
});

describe('a change of keys', () => {
  it('gives all holders the new key and the old ones; who had only the old slot lacks the new', async () => {
    const identity = await generateIdentity();
    const recipient = { kind: 'recipient', recipient: await identityToRecipient(identity) } as const;
    const { store, slots, ring } = await place(word('one'), recipient, word('two'));
    const before = (await slots.list()).find(({ label }) => label === 'number 0')!;
    await expect(slots.rotate(ring, [word('one')])).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(await slots.list()).toHaveLength(3);
    const recipients = [recipient.recipient];
    const { ring: later, dropped } = await slots.rotate(ring, [word('one'), word('two')], { recipients });
    expect(dropped).toEqual([]);
    expect(later.currentId).not.toBe(ring.currentId);
    expect(later.has(ring.currentId)).toBe(true);
    for (const secret of [word('one'), word('two'), parseKeyFile(identity, 'i')])
      expect((await slots.unlock([secret])).ring.currentId).toBe(later.currentId);
    const third = await slots.rotate(later, [word('two')], { drop: true, recipients });
    expect(third.dropped.map(({ label }) => label)).toEqual(['number 0']);
    await expect(slots.unlock([word('one')])).rejects.toMatchObject({ code: 'KEY_WRONG' });
    // Who brings the old slot back has what it had, and no more.
    await store.put(`keys/${before.id}.json`, Buffer.from(JSON.stringify(before)));
    const { ring: old } = await slots.unlock([word('one')]);
    expect(old.has(ring.currentId)).toBe(true);
    expect(old.has(later.currentId)).toBe(false);
  });

  it('that was broken off leaves slots of both: the later one is opened', async () => {
    const { slots, ring } = await place(word('one'));
    const later = ring.extended();
    await slots.add(later, word('one'), '');
    expect((await slots.unlock([word('one')])).ring.currentId).toBe(later.currentId);
  });

  it('gives no key to a recipient whom somebody has written into the store', async () => {
    const [ours, theirs] = [await generateIdentity(), await generateIdentity()];
    const own = { kind: 'recipient', recipient: await identityToRecipient(ours) } as const;
    const { store, slots, ring } = await place(word('one'), own);
    const stranger = { kind: 'recipient', recipient: await identityToRecipient(theirs) } as const;
    const planted = await slots.add(KeyRing.create(), stranger, '');
    // The key that it tells of is the repository's: only who opens it sees that it is not in it.
    const told = { ...planted, keyId: ring.currentId };
    await store.put(`keys/${planted.id}.json`, Buffer.from(JSON.stringify(told)), { mode: 'replace' });
    const known = { recipients: [own.recipient] };
    const refused = slots.rotate(ring, [word('one')], known);
    await expect(refused).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
      details: { slots: [planted.id] },
    });
    await expect(refused).rejects.toThrow(stranger.recipient);
    const { ring: later, dropped } = await slots.rotate(ring, [word('one')], { ...known, drop: true });
    expect(dropped.map(({ id }) => id)).toEqual([planted.id]);
    await expect(slots.unlock([parseKeyFile(theirs, 'i')])).rejects.toMatchObject({ code: 'KEY_WRONG' });
    expect((await slots.unlock([parseKeyFile(ours, 'i')])).ring.currentId).toBe(later.currentId);
    // Who has the identity need not name its recipient.
    await slots.rotate(later, [word('one'), parseKeyFile(ours, 'i')]);
    expect((await slots.unlock([parseKeyFile(ours, 'i')])).ring.size).toBe(3);
  });

  it('loses no key: neither by who goes on from older ones, nor with a slot that alone has it', async () => {
    const { slots, ring } = await place(word('one'), word('two'));
    // Broken off after the first of its slots, with which somebody has sealed since.
    const later = ring.extended();
    const newest = await slots.add(later, word('two'), '');
    await expect(slots.rotate(ring, [word('one'), word('two')])).rejects.toMatchObject({
      code: 'KEY_WRONG',
      details: { slots: [newest.id] },
    });
    await expect(slots.remove(newest.id)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    expect(await slots.list()).toHaveLength(3);
    const both = [word('one'), word('two')];
    const { ring: opened } = await slots.unlock(both);
    expect(opened.encode().equals(later.encode())).toBe(true);
    const { ring: last } = await slots.rotate(opened, both);
    expect(last.has(later.currentId)).toBe(true);
    expect((await slots.unlock([word('one')])).ring.encode().equals(last.encode())).toBe(true);
  });

  it('rings that are joined say the same after they were wrapped, in whatever order they came', async () => {
    const first = KeyRing.create();
    const [b, c] = [first.extended(), first.extended()];
    const rings = [
      b,
      c,
      b.joined(c),
      c.joined(b),
      c.extended(),
      c.extended().joined(b.joined(c)),
      b.joined(c).extended(),
    ];
    for (const one of rings)
      for (const other of rings) {
        const joined = one.joined(other);
        const decoded = KeyRing.decode(joined.encode());
        expect([decoded.currentId, decoded.size]).toEqual([joined.currentId, joined.size]);
        for (const ring of [one, other]) expect(joined.has(ring.currentId)).toBe(true);
      }
  });

  it('two at once leave two keys, and who opens then has both', async () => {
    const { slots, ring } = await place(word('one'));
    const [one, other] = [ring.extended(), ring.extended()];
    const [old] = await slots.list();
    for (const each of [one, other]) await slots.add(each, word('one'), '');
    await slots.remove(old!.id);
    const { ring: opened } = await slots.unlock([word('one')]);
    for (const each of [ring, one, other]) expect(opened.has(each.currentId)).toBe(true);
    expect([one.currentId, other.currentId]).toContain(opened.currentId);
    expect((await slots.rotate(opened, [word('one')])).ring.size).toBe(4);
  });
});

describe('secrets', () => {
  it('a printed key is read in any grouping, and a slip of the pen is found', () => {
    const text = newKeyText();
    const key = parseKeyFile(text, 'k');
    expect(key.kind === 'key' && printKey(key.bytes)).toBe(text);
    const grouped = `# recovery\n${text
      .toLowerCase()
      .match(/.{1,7}/g)!
      .join(' ')}\n`;
    expect(parseKeyFile(grouped, 'k')).toEqual(key);
    for (let at = 12; at < text.length; at++) {
      const slip = text.slice(0, at) + (text[at] === 'Q' ? 'P' : 'Q') + text.slice(at + 1);
      const error = (() => {
        try {
          return parseKeyFile(slip, 'file k');
        } catch (caught) {
          return caught as Error;
        }
      })();
      expect(error).toMatchObject({ code: 'ARGUMENT_INVALID' });
      expect(String((error as Error).message) + String((error as { hint?: string }).hint)).not.toContain(
        slip.slice(12),
      );
    }
    expect(() => parseKeyFile('', 'file k')).toThrow('holds no key');
  });

  it('a passphrase is its bytes without the end of the line, and not empty', () => {
    for (const text of ['a b', 'a b\n', 'a b\r\n']) expect(word(text)).toEqual(word('a b'));
    expect(word(' a b ')).not.toEqual(word('a b'));
    expect(() => word('\n')).toThrow('empty');
  });

  it('a command is given up at its time, and when it is cancelled, though what it started goes on', async () => {
    const [line, timed] = ['sleep 3 & wait', AbortSignal.timeout(100)];
    const refused = { code: 'ARGUMENT_INVALID', message: expect.stringContaining('in time') as string };
    await expect(passphraseOfCommand(line, timed)).rejects.toMatchObject(refused);
    const cancel = new AbortController();
    const asked = passphraseOfCommand(line, cancel.signal);
    cancel.abort();
    await expect(asked).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('are overwritten', () => {
    for (const secret of [word('abc'), parseKeyFile(newKeyText(), 'k')]) {
      wipeSecret(secret);
      if (secret.kind !== 'identity') expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('no recipient, no identity: said in a sentence', async () => {
    const { slots, ring } = await place(word('p'));
    await expect(slots.add(ring, { kind: 'recipient', recipient: 'age1x' }, '')).rejects.toMatchObject({
      code: 'ARGUMENT_INVALID',
    });
    const identity = parseKeyFile('AGE-SECRET-KEY-1XXXX', 'file i');
    await expect(slots.add(ring, identity as Holder, '')).rejects.toThrow('holds no age identity');
    expect(await slots.list()).toHaveLength(1);
  });
});
