// Django's admin: a project as `startproject` makes it, with one model, and an administrator of its own.

import path from 'node:path';

import { environment, python, run, SOURCES, startApplication } from './application.mjs';

const PROJECT = path.join(SOURCES, 'django', 'manage.py');

/** The administrator, whom the provider knows nothing of. */
export const ADMINISTRATOR = { login: 'archivist', password: 'a shelf of 9 yards' };

/** Starts it for the browsers of `origin`. */
export function startDjango(origin) {
  return startApplication(async (folder, port) => {
    const env = { DATA: folder, PUBLIC_HOST: new URL(origin).hostname, PYTHONDONTWRITEBYTECODE: '1', DJANGO_SUPERUSER_PASSWORD: ADMINISTRATOR.password };
    const program = python('python');
    const manage = (...args) => run(program, [PROJECT, ...args], { cwd: folder, env: environment(folder, env) });
    await manage('migrate');
    await manage('createsuperuser', '--noinput', '--username', ADMINISTRATOR.login, '--email', 'archivist@mail.example');
    return { program, args: [PROJECT, 'runserver', '--noreload', `127.0.0.1:${port}`], env };
  });
}
