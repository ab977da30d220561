import type { QmpClient } from '../qmp/client.js';

interface Told {
  readonly nodes: readonly { readonly id: number; readonly type: string; readonly name?: string }[];
  readonly edges: readonly { readonly parent: number; readonly child: number; readonly name: string }[];
}

/** How QEMU's block nodes stand on one another, by their names. */
export class BlockGraph {
  private readonly nodes: ReadonlyMap<number, Told['nodes'][number]>;

  constructor(private readonly told: Told) {
    this.nodes = new Map(told.nodes.map((node) => [node.id, node]));
  }

  /** The node that a filter stands before: another than at first where somebody took a snapshot below it. */
  fileOf(filter: string): string | undefined {
    return this.told.edges
      .filter(({ parent, name }) => name === 'file' && this.nodes.get(parent)?.name === filter)
      .map(({ child }) => this.nodes.get(child)?.name)[0];
  }

  /** The nodes that stand on one. */
  above(node: string): string[] {
    return this.told.edges
      .filter(({ child }) => this.nodes.get(child)?.name === node)
      .flatMap(({ parent }) => {
        const found = this.nodes.get(parent);
        return found?.type === 'block-driver' ? [found.name ?? ''] : [];
      });
  }
}

/** Asks for it. Empty where a QEMU does not tell: the command is none that QEMU promises to keep. */
export async function readGraph(qmp: QmpClient): Promise<BlockGraph> {
  const nothing: Told = { nodes: [], edges: [] };
  const told = await qmp.execute<Told>('x-debug-query-block-graph').catch((error: unknown) => {
    if (qmp.closed.aborted) throw error;
    return nothing;
  });
  return new BlockGraph(told);
}
