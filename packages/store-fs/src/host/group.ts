import { execFile } from 'node:child_process';
import { chmod, chown, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { FitdocError } from '@fitdoc/interface';
import { storeError } from '../failures.js';

const SET_GROUP_ID = 0o2000;

/** The number of a group, by name or number. CONFIG_INVALID when there is none. */
export async function groupId(group: string): Promise<number> {
  if (/^\d+$/.test(group)) return Number(group);
  const { stdout } = await promisify(execFile)('getent', ['group', '--', group]).catch(() => ({
    stdout: '',
  }));
  const number = stdout.split(':')[2];
  if (number !== undefined) return Number(number);
  throw new FitdocError('CONFIG_INVALID', `There is no group ${group} on this host.`, {
    hint: 'Name one of: getent group.',
  });
}

/**
 * Lets a group read a directory and what will be made in it. The directory itself keeps that in mind, by its
 * set-group-id bit: later processes need not be told.
 */
export async function openToGroup(root: string, group: string): Promise<void> {
  try {
    await chown(root, -1, await groupId(group));
    await chmod(root, 0o2750);
  } catch (error) {
    throw storeError(error, `Giving ${root} to the group ${group}`);
  }
}

/** Whether a group was asked for when the directory was made. */
export async function isOpenToGroup(root: string): Promise<boolean> {
  const { mode } = await stat(root);
  return (mode & SET_GROUP_ID) !== 0 && (mode & 0o050) === 0o050;
}
