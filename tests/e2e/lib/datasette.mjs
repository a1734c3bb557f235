// Datasette with a table of more rows than a page has, in its default settings.

import path from 'node:path';

import { environment, python, run, startApplication } from './application.mjs';

const ROWS = 250;
const TABLE = `
import sqlite3, sys
archive = sqlite3.connect(sys.argv[1])
archive.execute("create table documents (id integer primary key, title text)")
archive.executemany("insert into documents (title) values (?)", [(f"Document {number}",) for number in range(1, ${ROWS} + 1)])
archive.commit()
`;

/** Starts it; the table is at /archive/documents. */
export function startDatasette() {
  return startApplication(async (folder, port) => {
    const file = path.join(folder, 'archive.db');
    await run(python('python'), ['-c', TABLE, file], { env: environment(folder) });
    return { program: python('datasette'), args: ['serve', file, '--host', '127.0.0.1', '--port', `${port}`] };
  });
}
