// Keycloak, what most enterprises run: started once for a suite, in memory, with a realm and a client for each application.
//
// KEYCLOAK_HOME and JAVA_HOME say where it is; tests/e2e/run fetches it.

import path from 'node:path';

import { freePort, request } from './network.mjs';
import { PEOPLE } from './people.mjs';
import { start } from './process.mjs';

const START_LIMIT_MS = 150_000; // the first start builds its own image
const REALM = 'legacy';
/** A second realm, another issuer. Its sign-in has two levels of authentication: the second asks for the password again. */
const STEPPED_REALM = 'stepped';
const CLIENT_SECRET = 'e2e-keycloak-secret-41ab';
/** The realm's roles that everyone has; in the ID token they are where Keycloak puts them, below `realm_access`. */
export const REALM_ROLES = ['offline_access', 'staff'];
const ADMIN = { username: 'operator', password: 'e2e-operator-5d0c' };

/** Starts it. `register(origin)` gives an application its client: the object that `startStack` takes for a provider. */
export async function startKeycloak() {
  const port = await freePort();
  const base = `http://localhost:${port}`;
  const server = run(port);
  try {
    await server.until('Keycloak answers', () => isAnswering(base), START_LIMIT_MS);
    for (const name of [REALM, STEPPED_REALM]) await administer(base, 'POST', '/admin/realms', realm(name));
    await setLevels(base);
  } catch (error) {
    await server.stop();
    throw error;
  }
  const [issuer, steppedIssuer] = [REALM, STEPPED_REALM].map((name) => `${base}/realms/${name}`);
  return {
    issuer,
    steppedIssuer,
    /** The access token of a program: a client of `issuer` with a secret of its own and this audience. */
    async programToken(issuer, { clientId, audience, isTyped = false }) {
      await administer(base, 'POST', `/admin${new URL(issuer).pathname}/clients`, program(clientId, audience, isTyped));
      const form = { grant_type: 'client_credentials', client_id: clientId, client_secret: CLIENT_SECRET };
      const answer = await post(`${issuer}/protocol/openid-connect/token`, form);
      if (answer.status !== 200) throw new Error(`Keycloak answered ${answer.status} to ${clientId}: ${answer.text}`);
      return answer.json().access_token;
    },
    async register(origin, { accessTokenSeconds, realm: name = REALM, audiences = [] }) {
      const clientId = `app-${new URL(origin).port}`;
      const issuer = `${base}/realms/${name}`;
      for (const audience of audiences) {
        const service = { clientId: audience, secret: CLIENT_SECRET, protocol: 'openid-connect', publicClient: false };
        await administer(base, 'POST', `/admin/realms/${name}/clients`, service);
      }
      await administer(base, 'POST', `/admin/realms/${name}/clients`, client(clientId, origin, accessTokenSeconds, audiences));
      return {
        issuer,
        settings: { OIDC_ISSUER_URL: issuer, CLIENT_ID: clientId, CLIENT_SECRET },
        stop: async () => {},
        /** True while an access token counts, by the word of its audience's introspection (RFC 7662). */
        async isActive(token, audience) {
          const form = { token, client_id: audience, client_secret: CLIENT_SECRET };
          return (await post(`${issuer}/protocol/openid-connect/token/introspect`, form)).json().active;
        },
        /** Ends everything of a person, as an administrator does; Keycloak tells the applications by their back channel. */
        async signOutEverywhere({ login }) {
          const [{ id }] = (await administer(base, 'GET', `/admin/realms/${REALM}/users?username=${login}&exact=true`)).json();
          await administer(base, 'POST', `/admin/realms/${REALM}/users/${id}/logout`);
        },
        /** Gives a person a role of the realm, or takes it. */
        async setRole({ login }, role, isGiven) {
          const [{ id }] = (await administer(base, 'GET', `/admin/realms/${REALM}/users?username=${login}&exact=true`)).json();
          const known = (await administer(base, 'GET', `/admin/realms/${REALM}/roles/${role}`)).json();
          const pathname = `/admin/realms/${REALM}/users/${id}/role-mappings/realm`;
          await administer(base, isGiven ? 'POST' : 'DELETE', pathname, [known]);
        },
        /** Lets a person join a group of the realm, or leave it. */
        async setGroup({ login }, group, isMember) {
          const [{ id }] = (await administer(base, 'GET', `/admin/realms/${REALM}/users?username=${login}&exact=true`)).json();
          const [{ id: groupId }] = (await administer(base, 'GET', `/admin/realms/${REALM}/groups?search=${group}&exact=true`)).json();
          await administer(base, isMember ? 'PUT' : 'DELETE', `/admin/realms/${REALM}/users/${id}/groups/${groupId}`);
        },
        /** Number of events of a type that it recorded for this client. */
        async count(type) {
          return (await administer(base, 'GET', `/admin/realms/${REALM}/events?type=${type}&client=${clientId}`)).json().length;
        },
      };
    },
    stop: server.stop,
  };
}

/** Fills in Keycloak's own form, which must be what the tab shows. */
export async function giveCredentials(page, { login, password }) {
  await page.locator('#username').fill(login);
  await page.locator('#password').fill(password);
  await page.locator('#kc-login').click();
}

function run(port) {
  const { PATH, HOME, JAVA_HOME, KEYCLOAK_HOME } = process.env;
  const env = {
    PATH, HOME, JAVA_HOME,
    JAVA_OPTS_KC_HEAP: '-Xms128m -Xmx512m',
    JAVA_OPTS_APPEND: '-XX:TieredStopAtLevel=1', // it lives a minute: start soon rather than run fast
    KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.username,
    KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password,
  };
  const options = ['start-dev', '--http-host=127.0.0.1', `--http-port=${port}`, '--cache=local', '--db=dev-mem', '--log-level=warn'];
  return start('bash', [path.join(KEYCLOAK_HOME, 'bin', 'kc.sh'), ...options], { env });
}

async function isAnswering(base) {
  try {
    return (await request(`${base}/realms/master`)).status === 200;
  } catch {
    return false; // nobody listens yet
  }
}

async function administer(base, method, pathname, body) {
  const form = { grant_type: 'password', client_id: 'admin-cli', ...ADMIN };
  const { access_token: token } = (await post(`${base}/realms/master/protocol/openid-connect/token`, form)).json();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await request(base + pathname, { method, headers, body: body && JSON.stringify(body) });
  if (answer.status >= 300) throw new Error(`Keycloak answered ${answer.status} to ${method} ${pathname}: ${answer.text}`);
  return answer;
}

function realm(name) {
  return {
    realm: name,
    enabled: true,
    sslRequired: 'none',
    revokeRefreshToken: true,
    refreshTokenMaxReuse: 0,
    eventsEnabled: true,
    enabledEventTypes: [
      'LOGIN', 'LOGOUT', 'CODE_TO_TOKEN', 'REFRESH_TOKEN', 'REFRESH_TOKEN_ERROR', 'REVOKE_GRANT', 'TOKEN_EXCHANGE', 'TOKEN_EXCHANGE_ERROR',
    ],
    roles: { realm: [{ name: 'staff' }, { name: 'editor' }] },
    groups: [{ name: 'board' }],
    users: PEOPLE.map(({ login, password, name, email }) => {
      const [firstName, lastName] = name.split(' ');
      const credentials = [{ type: 'password', value: password }];
      return { username: login, enabled: true, emailVerified: true, email, firstName, lastName, credentials, realmRoles: REALM_ROLES };
    }),
  };
}

/** Gives the stepped realm a sign-in of two levels: `silver` by name and password, `gold` by the password once more. */
async function setLevels(base) {
  const realm = `/admin/realms/${STEPPED_REALM}`;
  const flows = `${realm}/authentication/flows`;
  const flow = (parent, alias) =>
    administer(base, 'POST', `${flows}/${parent}/executions/flow`, { alias, type: 'basic-flow', provider: 'registration-page-form' });
  const step = (parent, provider) => administer(base, 'POST', `${flows}/${parent}/executions/execution`, { provider });
  await administer(base, 'POST', flows, { alias: 'levels', providerId: 'basic-flow', topLevel: true, builtIn: false });
  await step('levels', 'auth-cookie');
  await flow('levels', 'level-forms');
  for (const [level, form] of [['level-1', 'auth-username-password-form'], ['level-2', 'auth-password-form']]) {
    await flow('level-forms', level);
    await step(level, 'conditional-level-of-authentication');
    await step(level, form);
  }
  let level = 0;
  for (const execution of (await administer(base, 'GET', `${flows}/levels/executions`)).json()) {
    const requirement = { 'auth-cookie': 'ALTERNATIVE', 'level-forms': 'ALTERNATIVE', 'level-1': 'CONDITIONAL', 'level-2': 'CONDITIONAL' };
    const { [execution.providerId ?? execution.displayName]: wanted = 'REQUIRED' } = requirement;
    await administer(base, 'PUT', `${flows}/levels/executions`, { ...execution, requirement: wanted });
    if (execution.providerId === 'conditional-level-of-authentication') {
      level += 1;
      const config = { 'loa-condition-level': `${level}`, 'loa-max-age': level === 1 ? '36000' : '0' };
      await administer(base, 'POST', `${realm}/authentication/executions/${execution.id}/config`, { alias: `level-${level}`, config });
    }
  }
  const attributes = { 'acr.loa.map': JSON.stringify({ silver: 1, gold: 2 }) };
  await administer(base, 'PUT', realm, { realm: STEPPED_REALM, browserFlow: 'levels', attributes });
}

function program(clientId, audience, isTyped) {
  return {
    clientId,
    secret: CLIENT_SECRET,
    protocol: 'openid-connect',
    publicClient: false,
    serviceAccountsEnabled: true,
    standardFlowEnabled: false,
    attributes: { 'access.token.header.type.rfc9068': `${isTyped}` },
    protocolMappers: [{
      name: 'audience',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-audience-mapper',
      config: { 'included.custom.audience': audience, 'access.token.claim': 'true' },
    }],
  };
}

/** The client of an application, which may exchange its tokens for those of these audiences. */
function client(clientId, origin, accessTokenSeconds, audiences) {
  return {
    clientId,
    secret: CLIENT_SECRET,
    protocol: 'openid-connect',
    publicClient: false,
    redirectUris: [`${origin}/oauth/callback`],
    attributes: {
      'post.logout.redirect.uris': `${origin}/oauth/signedout`,
      'pkce.code.challenge.method': 'S256',
      'access.token.lifespan': `${accessTokenSeconds}`,
      'backchannel.logout.url': `${origin}/oauth/backchannel-logout`,
      'backchannel.logout.session.required': 'true',
      'standard.token.exchange.enabled': `${audiences.length > 0}`,
    },
    protocolMappers: [...audiences.map((audience) => ({
      name: `audience ${audience}`,
      protocol: 'openid-connect',
      protocolMapper: 'oidc-audience-mapper',
      config: { 'included.client.audience': audience, 'access.token.claim': 'true' },
    })), {
      name: 'department',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-hardcoded-claim-mapper',
      config: { // told by UserInfo only
        'claim.name': 'department', 'claim.value': 'Archives', 'jsonType.label': 'String',
        'userinfo.token.claim': 'true', 'id.token.claim': 'false', 'access.token.claim': 'false',
      },
    }, {
      name: 'realm roles',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-usermodel-realm-role-mapper',
      config: { 'claim.name': 'realm_access.roles', 'jsonType.label': 'String', multivalued: 'true', 'id.token.claim': 'true' },
    }, {
      name: 'groups',
      protocol: 'openid-connect',
      protocolMapper: 'oidc-group-membership-mapper',
      config: { 'claim.name': 'groups', 'full.path': 'false', 'id.token.claim': 'true' },
    }],
  };
}

function post(url, form) {
  return request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
  });
}
