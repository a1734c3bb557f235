// nginx as a server of static files, with nothing set but where they are.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { startApplication } from './application.mjs';

/** Starts it with a page that links to a folder. */
export function startNginx() {
  return startApplication(async (folder, port) => {
    const site = path.join(folder, 'site');
    await mkdir(path.join(site, 'dir'), { recursive: true });
    await writeFile(path.join(site, 'index.html'), page('<h1>Home</h1><a href="/dir?a=1">The folder</a>'));
    await writeFile(path.join(site, 'dir', 'index.html'), page('<h1>In the folder</h1>'));
    const file = path.join(folder, 'nginx.conf');
    await writeFile(file, configuration(folder, site, port));
    return { program: process.env.NGINX, args: ['-c', file, '-p', folder, '-g', 'daemon off;', '-e', 'stderr'] };
  });
}

function configuration(folder, site, port) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`);
  return `
    ${process.getuid() === 0 ? 'user root;' : ''}
    pid ${folder}/pid;
    worker_processes 1;
    events {}
    http {
      ${temporary.join('\n')}
      access_log off;
      types { text/html html; }
      server { listen 127.0.0.1:${port}; root ${site}; }
    }`;
}

function page(body) {
  return `<!doctype html><html lang="en"><title>Files</title><link rel="icon" href="data:,">${body}</html>`;
}
