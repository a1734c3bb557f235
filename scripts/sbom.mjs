// The software bill of materials of the handler, as CycloneDX 1.6 in JSON on stdout: every crate that is linked into the
// static binary, with its version, licence, checksum and what it depends on. Made of Cargo.lock; asks no network.
//
//   node scripts/sbom.mjs VERSION

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');
const TARGET = 'x86_64-unknown-linux-musl';
const PACKAGE = 'oauth-proxy';

/**
 * The crates that are linked, by their id, each with those of them that it depends on. `cargo metadata` knows the graph,
 * but with the features of the whole workspace; `cargo tree` knows which crates the handler has.
 */
export function linked(metadata, tree) {
  const names = new Set(tree.split('\n').map((line) => line.split(' ').slice(0, 2).join(' ').replace(' v', ' ')));
  const isLinked = ({ name, version }) => names.has(`${name} ${version}`);
  const ids = new Set(metadata.packages.filter(isLinked).map(({ id }) => id));
  const root = metadata.packages.find(({ name, source }) => name === PACKAGE && source === null).id;
  const nodes = metadata.resolve.nodes.filter(({ id }) => ids.has(id));
  const uses = ({ deps }) => deps.map(({ pkg }) => pkg).filter((id) => ids.has(id)).toSorted();
  return { root, found: new Map(nodes.map((node) => [node.id, uses(node)])) };
}

/** "name version" of a crate to its checksum in Cargo.lock. */
export function checksums(lock) {
  const entry = /^name = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "([0-9a-f]{64})"$/gm;
  return new Map([...lock.matchAll(entry)].map(([, name, version, sum]) => [`${name} ${version}`, sum]));
}

/** The document. Nothing in it depends on the machine or the time, so the same sources make the same document. */
export function document(version, metadata, tree, lock) {
  const { root, found } = linked(metadata, tree);
  const sums = checksums(lock);
  const packages = new Map(metadata.packages.map((one) => [one.id, one]));
  const reference = (id) => `pkg:cargo/${packages.get(id).name}@${packages.get(id).version}`;
  const component = (id) => {
    const { name, version: number, license } = packages.get(id);
    const sum = sums.get(`${name} ${number}`);
    return {
      type: 'library',
      'bom-ref': reference(id),
      name,
      version: number,
      purl: reference(id),
      ...(license && { licenses: [{ expression: license.replaceAll('/', ' OR ') }] }),
      ...(sum && { hashes: [{ alg: 'SHA-256', content: sum }] }),
    };
  };
  const byReference = (a, b) => (a['bom-ref'] ?? a.ref).localeCompare(b['bom-ref'] ?? b.ref, 'en');
  const libraries = [...found.keys()].filter((id) => id !== root);
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: { type: 'application', 'bom-ref': reference(root), name: PACKAGE, version, licenses: [{ expression: 'MIT' }] },
    },
    components: libraries.map(component).toSorted(byReference),
    dependencies: [...found].map(([id, uses]) => ({ ref: reference(id), dependsOn: uses.map(reference) })).toSorted(byReference),
  };
}

if (process.argv[1] === import.meta.filename) {
  const [version] = process.argv.slice(2);
  if (!version) {
    console.error('usage: node scripts/sbom.mjs VERSION');
    process.exit(2);
  }
  const cargo = (...args) => execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
  const metadata = JSON.parse(cargo('metadata', '--format-version', '1', '--locked', '--filter-platform', TARGET));
  const edges = 'normal,no-proc-macro'; // a macro runs in the compiler
  const tree = cargo('tree', '--locked', '--package', PACKAGE, '--edges', edges, '--target', TARGET, '--prefix', 'none');
  const lock = readFileSync(path.join(ROOT, 'Cargo.lock'), 'utf8');
  console.log(JSON.stringify(document(version, metadata, tree, lock), null, 2));
}
