// Reads ScaledObjects as a JSON list on stdin; says what is wrong with each, and ends with 1 if anything is.
import { readFileSync } from "node:fs";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";

let wrong = 0;
for (const item of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    new ScaledObject(item).validate();
  } catch (error) {
    wrong += 1;
    console.log(`${item.metadata.name}: ${error.message}`);
  }
}
process.exit(wrong ? 1 : 0);
