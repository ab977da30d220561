import assert from 'node:assert/strict';
import { isFitdocError, type Progress } from '@fitdoc/interface';
import { expectCode } from '../expect.js';
import type { Attached, Guests } from './place.js';

/** Captures that fail or are cancelled: the guest runs on, and no dirty page is lost. */
export function failureTests(guests: Guests): void {
  guests.attachedTest('captures nothing once the signal is aborted', async (attached) => {
    await attached.round();
    await attached.place.mutate?.();
    const signal = AbortSignal.abort();
    await expectCode(attached.sink.capture(attached.machine, { signal }), 'ABORTED');
    await goesOn(attached);
  });

  guests.attachedTest('is cancelled in the middle without losing a page', async (attached) => {
    await attached.round();
    await attached.place.mutate?.();
    await cancel(attached);
    await goesOn(attached);
  });

  guests.attachedTest('is cancelled in the first capture without losing a page', async (attached) => {
    await cancel(attached);
    await goesOn(attached);
  });

  guests.attachedTest('survives a sink that fails', async (attached) => {
    const { machine, sink, place } = attached;
    await attached.round();
    await place.mutate?.();
    sink.beforePlace = () => {
      throw new Error('the sink of the suite fails');
    };
    try {
      // An increment may be empty where the guest did not write; a full capture never is.
      const error = await rejection(sink.capture(machine, { full: true }));
      assert.ok(isFitdocError(error), `rejected with ${String(error)}, which is no FitdocError`);
    } finally {
      sink.beforePlace = undefined;
    }
    await goesOn(attached);
  });

  budgetTest(guests);
  pauseTaskTest(guests);

  guests.attachedTest('reports progress that only grows', async ({ machine, sink }) => {
    const seen = new Map<string, number>();
    const onProgress = ({ phase, done }: Progress) => {
      assert.ok(done >= (seen.get(phase) ?? 0), `"${phase}" went back to ${done}`);
      seen.set(phase, done);
    };
    await (await sink.capture(machine, { onProgress })).commit();
  });
}

function budgetTest(guests: Guests): void {
  guests.attachedTest('keeps to the budget of a pause, or says that it did not', async (attached) => {
    const { machine, sink, place } = attached;
    if (machine.supports.pauseBudget !== true) return;
    for (let round = 0; round < 3; round++) await attached.round();
    await place.mutate?.();
    const impossible = { maxMs: 0.001, waitMs: 50, otherwise: 'exceed' } as const;
    const harvest = await sink.capture(machine, { pauseBudget: impossible });
    assert.equal(harvest.pauseBudget?.kept, harvest.pauseMs <= impossible.maxMs);
    await harvest.commit();
    await place.mutate?.();
    // Where the adapter cannot tell that it will be longer, it may be; it is never said to be kept then.
    const refusing = { ...impossible, otherwise: 'refuse' } as const;
    const second = await sink.capture(machine, { pauseBudget: refusing }).catch((error: unknown) => {
      assert.ok(isFitdocError(error, 'MACHINE_BUSY') && error.retryable, `refused with ${String(error)}`);
      return undefined;
    });
    if (second) assert.equal(second.pauseBudget?.kept, second.pauseMs <= refusing.maxMs);
    await second?.commit();
    await goesOn(attached);
  });
}

/** How long the guest may stand until its place has told whether it runs, milliseconds. */
const ASKING_MS = 2000;

function pauseTaskTest(guests: Guests): void {
  guests.attachedTest(
    'does what is asked of its pause there, once, and goes on after it',
    async (attached) => {
      const { machine, sink, place } = attached;
      if (machine.supports.pauseTask !== true) return;
      for (const full of [true, false]) {
        await place.mutate?.();
        let runs = 0;
        let ran: boolean | undefined;
        let over = false;
        const run = async (): Promise<void> => {
          runs++;
          ran = await Promise.race([place.isRunning(), sleep(ASKING_MS)]);
          over = true;
        };
        const harvest = await sink.capture(machine, { full, pauseTask: { timeoutMs: 2 * ASKING_MS, run } });
        assert.equal(runs, 1, 'what was asked of the pause was not done once');
        assert.ok(over, 'the pause ended before what was asked of it');
        // Where it takes long to tell, nothing is known.
        assert.notEqual(ran, true, 'the guest ran while what was asked of its pause was done');
        assert.ok(await place.isRunning(), 'the guest stands after the pause');
        await harvest.commit();
      }
      await goesOn(attached);
    },
  );
}

async function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms).unref());
}

/** Cancels a capture while it places pages. A capture that is too far to be stopped may succeed. */
async function cancel({ machine, sink }: Attached): Promise<void> {
  const controller = new AbortController();
  sink.beforePlace = () => controller.abort();
  try {
    const harvest = await sink.capture(machine, { signal: controller.signal });
    await harvest.rollback();
  } catch (error) {
    assert.ok(isFitdocError(error, 'ABORTED'), `cancelled with ${String(error)}`);
  } finally {
    sink.beforePlace = undefined;
  }
}

async function goesOn(attached: Attached): Promise<void> {
  assert.ok(await attached.place.isRunning(), 'the guest stands still after a failed capture');
  assert.equal(attached.machine.gone.aborted, false);
  await attached.round();
  await attached.round();
}

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail('it resolved, though the sink had failed');
}
