import { readdir } from 'node:fs/promises';
import type { Section } from './section.js';

const directory = new URL('./sections/', import.meta.url);

/** All sections in sections/, in alphabetical order of their files; each file exports one as `section`. */
export async function loadSections(): Promise<Section[]> {
  const files = (await readdir(directory)).filter((file) => file.endsWith('.ts')).sort();
  const sections: Section[] = [];
  for (const file of files) {
    const module = (await import(new URL(file, directory).href)) as { section?: Section };
    if (!module.section) throw new Error(`sections/${file} exports no \`section\``);
    sections.push(module.section);
  }
  return sections;
}
