// An OpenID provider that others wrote: oidc-provider, on loopback, with its own pages for login and consent.
// node oidc.mjs CONFIGURATION.json: prints {"issuer": …} when it listens, ends with its standard input.
import Provider from "oidc-provider";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

// The keys come from outside: Node.js 20 at times deadlocks when a key that it has just made is exported as a JWK.
const { clients, people, idTokenClaims, keys, cookieKey } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys },
    cookies: { keys: [cookieKey] },
    claims: { openid: ["sub", "name", "roles", "departments", "fhirUser", "npi"], profile: [] },
    // Without it, claims are at the userinfo endpoint only, as OpenID Connect Core 5.4 has it.
    conformIdTokenClaims: !idTokenClaims,
    clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
    enabledJWA: { clientAuthSigningAlgValues: ["ES384", "RS384", "PS256"] },
    features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true }, devInteractions: { enabled: true } },
    pkce: { required: () => true },
    // It refuses to call addresses of loopback, where the services are.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    issueRefreshToken: () => true,
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
  });
  provider.on("server_error", (_, error) => console.error(error));
  provider.on("backchannel.error", (_, error) => console.error(error));
  server.on("request", provider.callback());
  console.log(JSON.stringify({ issuer }));
});
process.stdin.resume().on("end", () => process.exit(0));
