import { FitdocError, type ObjectStat, type PutOptions, type StoreBody } from '@fitdoc/interface';
import { MemoryStore } from '@fitdoc/store-memory';

/** A store whose puts of checkpoints fail while `failing` is set. */
export class MoodyStore extends MemoryStore {
  failing = false;

  override async put(key: string, body: StoreBody, options?: PutOptions): Promise<ObjectStat> {
    if (this.failing && key.endsWith('.fitdoc')) {
      throw new FitdocError('STORE_FULL', 'no room today');
    }
    return super.put(key, body, options);
  }
}
