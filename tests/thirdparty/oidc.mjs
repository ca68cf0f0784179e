// An OpenID provider that others wrote: oidc-provider, on loopback, with its own pages for login and consent.
// node oidc.mjs CONFIGURATION.json: prints {"issuer": …} when it listens, ends with its standard input.
// With "launches" (launch → {patient, encounter}) it is also the authorization server of an EHR that launches apps by SMART
// App Launch: the FHIR base is /fhir, and the context of a launch comes with the tokens of its code.
// With "api" ({audience, seconds}) it issues JWTs for that resource (RFC 8707), good for so many seconds, also by device code.
import Provider, { errors } from "oidc-provider";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

// The keys come from outside: Node.js 20 at times deadlocks when a key that it has just made is exported as a JWK.
const { clients, people, idTokenClaims, keys, cookieKey, launches, api } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const refuse = (reason) => { throw new errors.InvalidRequest(reason); };
const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const fhir = `${issuer}/fhir`;
  const launching = launches && {
    scopes: ["openid", "offline_access", "launch", "fhirUser"],
    extraParams: {
      launch: (_, value) => value === undefined || value in launches || refuse("unknown launch"),
      aud: (_, value) => value === fhir || refuse("aud is not the FHIR server"),
    },
  };
  const resourceIndicators = {
    enabled: true,
    getResourceServerInfo: (_, resource) => resource === api.audience
      ? { scope: "", audience: resource, accessTokenFormat: "jwt", accessTokenTTL: api.seconds }
      : Promise.reject(new errors.InvalidTarget()),
  };
  const provider = new Provider(issuer, {
    ...launching,
    clients,
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    claims: { openid: ["sub", "name", "roles", "departments", "fhirUser", "npi"], profile: [] },
    // Without it, claims are at the userinfo endpoint only, as OpenID Connect Core 5.4 has it.
    conformIdTokenClaims: !idTokenClaims,
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    enabledJWA: { clientAuthSigningAlgValues: ["ES384", "RS384", "PS256"] },
    features: {
      backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true }, devInteractions: { enabled: true },
      ...(api && { deviceFlow: { enabled: true }, revocation: { enabled: true }, resourceIndicators }),
    },
    extraTokenClaims: (_, token) => token.kind === "AccessToken" ? people[token.accountId] : undefined,
    pkce: { required: () => true },
    // It refuses to call addresses of loopback, where the services are.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    issueRefreshToken: () => true,
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  });
  provider.on("server_error", (_, error) => console.error(error));
  provider.on("backchannel.error", (_, error) => console.error(error));
  const contexts = new Map(); // code → what is open in the EHR
  provider.on("authorization.success", (ctx, answer) => contexts.set(answer?.code, launches?.[ctx.oidc.params.launch]));
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.oidc?.route === "token" && ctx.body?.access_token) ctx.body = { ...ctx.body, ...contexts.get(ctx.oidc.params.code) };
  });
  const answer = provider.callback();
  const configuration = {
    issuer, jwks_uri: `${issuer}/jwks`, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token`,
    capabilities: ["launch-ehr", "sso-openid-connect", "context-ehr-patient", "context-ehr-encounter"],
  };
  server.on("request", (request, response) => {
    if (!launches || request.url !== "/fhir/.well-known/smart-configuration") return answer(request, response);
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(configuration));
  });
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume().on("end", () => process.exit(0));
