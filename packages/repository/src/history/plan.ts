import { checkPolicy } from '../retention/policy.js';
import type { HistoryPlan, HistoryRequest } from './types.js';
import { WholeHistory } from './whole.js';

/**
 * What a policy makes of one machine's history: which restore points stay, what to merge so that reading any of them
 * takes few objects, and which objects can go now. Pure; it is planned anew from what is there whenever something
 * was done. Errors: ARGUMENT_INVALID for a policy that keeps nothing or contradicts itself; CHECKPOINT_NOT_FOUND for
 * a tag to keep that there is not.
 */
export function planHistory(request: HistoryRequest): HistoryPlan {
  checkPolicy(request.policy);
  return new WholeHistory(request).plan();
}
