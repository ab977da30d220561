import { WORD_SIZE } from '@fitdoc/interface';
import { compressTransiently } from './compressors/transient.js';
import type { EncodeSettings } from './encode-settings.js';
import { shuffle } from './shuffle.js';

const SAMPLE_PARTS = 4;
const SAMPLE_PART_BYTES = 8 * 1024;
// Shuffling costs time in every reader, so it must win by this much.
const LEAST_GAIN = 0.9;

/** Whether to shuffle a words column: compresses a sample both ways, 32 KiB out of the column. */
export function shufflePays(words: Uint8Array, settings: EncodeSettings): boolean {
  if (settings.shuffle !== 'auto') return settings.shuffle === 'always';
  const sample = takeSample(words);
  const plain = compressTransiently(settings.compressor, sample, 1).length;
  const shuffled = compressTransiently(settings.compressor, shuffle(sample), 1).length;
  return shuffled < plain * LEAST_GAIN;
}

function takeSample(words: Uint8Array): Uint8Array {
  if (words.length <= SAMPLE_PARTS * SAMPLE_PART_BYTES) return words;
  const sample = new Uint8Array(SAMPLE_PARTS * SAMPLE_PART_BYTES);
  const stride = (words.length - SAMPLE_PART_BYTES) / (SAMPLE_PARTS - 1);
  for (let part = 0; part < SAMPLE_PARTS; part += 1) {
    const from = Math.floor((part * stride) / WORD_SIZE) * WORD_SIZE;
    sample.set(words.subarray(from, from + SAMPLE_PART_BYTES), part * SAMPLE_PART_BYTES);
  }
  return sample;
}
