#!/usr/bin/env python3
"""Check an evidence pack of Countersign offline: python3 verify.py [--key PUBLIC_KEY.pem] [FOLDER]

Needs Python 3.9 or later, and nothing else. Exits with 0 if everything holds, 1 if something does not, 2 if the folder
is not a pack. --key is the public key of the checkpoints as you got it from the hospital; without it, the copy in the
pack is used, which proves nothing about who signed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHAINED = ("ce-id", "ce-type", "ce-source", "ce-time", "ce-subject", "ce-prevdigest")
SIGNED = ("approved", "amended", "addended", "retracted")
FILED = ("filed", "retraction-filed")
COPIED = ("signed", "by", "signer", "edited", "channel")
CONTEXT = b"countersign checkpoint v1\n"
PEM_PREFIX = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of Ed25519
CHAIN_HEAD, RENDITION = "/audit-chain-head", "/rendition-sha256"
Json = dict[str, Any]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Pack:
    """The files of a pack. `event_digests` are recomputed, by sequence."""

    def __init__(self, folder: Path, key: Path | None) -> None:
        self.folder = folder
        self.key = key
        self.notes: list[str] = []
        self.manifest: Json = self.read("manifest.json")
        self.lines: list[Json] = [json.loads(line) for line in self.bytes_of("events.jsonl").splitlines()]
        self.event_digests: dict[int, str] = {item["sequence"]: event_digest(item) for item in self.lines}
        self.bodies: dict[int, Json] = {item["sequence"]: body_of(item) for item in self.lines}

    def bytes_of(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def read(self, name: str) -> Any:
        return json.loads(self.bytes_of(name))


def data_of(line: Json) -> bytes:
    return base64.b64decode(line["data_base64"]) if "data_base64" in line else str(line["data"]).encode()


def body_of(line: Json) -> Json:
    """Return the event's fields; none for one that is no JSON object, which verification.json reports."""
    try:
        found = json.loads(data_of(line))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def event_digest(line: Json) -> str:
    attributes = "\n".join(line["headers"].get(name, "") for name in CHAINED)
    return sha256(attributes.encode() + b"\n\n" + data_of(line))


def files(pack: Pack) -> Iterator[str]:
    """Check that SHA256SUMS names every file, and that no file was changed."""
    lines = pack.bytes_of("SHA256SUMS").decode().splitlines()
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    found = {item.relative_to(pack.folder).as_posix() for item in pack.folder.rglob("*") if item.is_file()}
    for name in sorted(found - {"SHA256SUMS"} | set(sums)):
        if name not in found:
            yield f"{name} is missing"
        elif name not in sums:
            yield f"{name} is not of this pack"
        elif sha256(pack.bytes_of(name)) != sums[name]:
            yield f"{name} was changed"


def chain(pack: Pack) -> Iterator[str]:
    """Check that each event carries the digest of the event before it, and that all are of the case."""
    previous, last = "", 0
    for line in pack.lines:
        sequence, department_case = line["sequence"], line["subject"].split(".")[1:3]
        if line["headers"].get("ce-prevdigest", "") != previous:
            yield f"event {sequence} does not follow from the event before it"
        if line["headers"].get("ce-subject") != "/".join(department_case):
            yield f"event {sequence} is of another subject than it says"
        if department_case[1] != pack.manifest["case"]:
            yield f"event {sequence} is of another case"
        if sequence <= last:
            yield f"event {sequence} is out of order"
        previous, last = pack.event_digests[sequence], sequence
    if not pack.lines:
        yield "there are no events"


def digests(pack: Pack) -> Iterator[str]:
    """Check that digests.json and signature.json agree with the events."""
    names = {item["sequence"]: item["subject"].rpartition(".")[2] for item in pack.lines}
    expected = [{"sequence": at, "event": names[at], "digest": found} for at, found in pack.event_digests.items()]
    if pack.read("digests.json")["events"] != expected:
        yield "digests.json lists other events, or other digests of them"
    times = {item["sequence"]: item["headers"].get("ce-time") for item in pack.lines}
    signatures = pack.read("signature.json")
    for item in signatures:
        body = pack.bodies.get(item["sequence"], {})
        if item["event"] != body.get("event") or any(item.get(name) != body.get(name) for name in COPIED):
            yield f"signature.json differs from event {item['sequence']}"
        if (item["digest"], item["time"]) != (pack.event_digests.get(item["sequence"]), times.get(item["sequence"])):
            yield f"signature.json has another digest or time of event {item['sequence']}"
    signed = [sequence for sequence, body in pack.bodies.items() if body.get("event") in SIGNED]
    if signed != [item["sequence"] for item in signatures]:
        yield "signature.json does not list every signature"


def filings(pack: Pack) -> Iterator[str]:
    """Check that what was filed is what was signed; contents that are in the pack have the digests that were filed."""
    for filing in pack.read("digests.json")["filings"]:
        body = pack.bodies.get(filing["sequence"], {})
        body = body.get("filed", body) if body.get("event") == "reimported" else body
        if any(filing.get(name) != body.get(name) for name in ("document_reference", "provenance")):
            yield f"digests.json differs from event {filing['sequence']}"
        if filing["renditions"] != body.get("renditions", {}):
            yield f"digests.json has other renditions than event {filing['sequence']}"
        signature = pack.bodies.get(filing["signature"] or 0, {})
        text = filing["renditions"].get("text/plain")
        if text is not None and signature and text != signature.get("signed"):
            yield f"the text that event {filing['sequence']} filed is not the one that was signed"
    listed = [item["sequence"] for item in pack.read("digests.json")["filings"]]
    if listed != [at for at, body in pack.bodies.items() if body.get("event") in FILED or "filed" in body]:
        yield "digests.json does not list every filing"
    yield from contents(pack)


def contents(pack: Pack) -> Iterator[str]:
    filed = {item["sequence"]: item["renditions"] for item in pack.read("digests.json")["filings"]}
    for item in pack.read("renditions.json"):
        known = filed.get(item["sequence"], {})
        if known.get(item["content_type"]) != item["sha256"]:
            yield f"renditions.json differs from event {item['sequence']}"
        if item["file"] and sha256(pack.bytes_of(item["file"])) != item["sha256"]:
            yield f"{item['file']} is not what was filed"
    if not pack.manifest["texts"]:
        pack.notes.append("the pack has the digests of the signed documents, not their texts")


def provenances(pack: Pack) -> Iterator[str]:
    """Check that each Provenance carries the digest of the signature, and those of the renditions."""
    filed = {item["sequence"]: item for item in pack.read("digests.json")["filings"]}
    for item in pack.read("provenance.json"):
        filing, resource = filed.get(item["sequence"]), item["resource"]
        if filing is None:
            yield f"provenance.json names event {item['sequence']}, which filed nothing"
        elif resource is None:
            pack.notes.append(f"no Provenance of the filing at sequence {item['sequence']}: {item['reason']}")
        elif resource.get("id") != filing["provenance"]:
            yield f"the Provenance of event {item['sequence']} is another one"
        else:
            yield from provenance(pack, filing, resource)


def provenance(pack: Pack, filing: Json, resource: Json) -> Iterator[str]:
    named = [entity.get("what", {}) for entity in resource.get("entity", [])]
    heads = [what["identifier"]["value"] for what in named if system_of(what).endswith(CHAIN_HEAD)]
    ours = [what for what in named if system_of(what).endswith(RENDITION)]
    renditions = {what.get("display"): what["identifier"]["value"] for what in ours}
    if filing["signature"] is None:
        pack.notes.append(
            f"the signature of event {filing['sequence']} was lost in a restore: its Provenance alone has it"
        )
    elif heads != [pack.event_digests.get(filing["signature"])]:
        yield f"the Provenance of event {filing['sequence']} carries another digest than that of the signature"
    if filing["renditions"] and renditions != filing["renditions"]:
        yield f"the Provenance of event {filing['sequence']} names other renditions"


def system_of(what: Json) -> str:
    return str(what.get("identifier", {}).get("system", ""))


def checkpoint(pack: Pack) -> Iterator[str]:
    """Check that the end of the chain is in the tree whose root was signed (RFC 9162, RFC 8032)."""
    if not pack.manifest["checkpoint"]:
        pack.notes.append("no signed checkpoint covers the case: whoever may write to the server could have made it")
        return
    proof, key = pack.read("checkpoint.json"), public_key(pack)
    line = proof["checkpoint"].encode()
    signed = json.loads(line)
    if not ed25519_verify(key, CONTEXT + line, bytes.fromhex(proof["signature"])):
        yield "the checkpoint was not signed with this key"
    leaf = hashlib.sha256(b"\x00" + "\n".join(str(proof[name]) for name in ("case", "sequence", "digest")).encode())
    path = [bytes.fromhex(item) for item in proof["path"]]
    if not included(bytes.fromhex(signed["root"]), signed["size"], proof["index"], leaf.digest(), path):
        yield "the checkpoint does not include the case"
    if proof["case"] != pack.manifest["case"] or pack.event_digests.get(proof["sequence"]) != proof["digest"]:
        yield "the checkpoint is about other events than those of the pack"
    later = sum(sequence > proof["sequence"] for sequence in pack.event_digests)
    pack.notes.append(f"checkpoint {signed['number']} of {signed['time']}; {later} later events are not covered by it")
    pack.notes.append(f"key of the checkpoint: SHA-256 {sha256(PEM_PREFIX + key)}")
    if pack.key is None:
        pack.notes.append("the key is the pack's own copy: compare it with the hospital's, or give it with --key")


def public_key(pack: Pack) -> bytes:
    text = (pack.key or pack.folder / "checkpoint-key.pem").read_text()
    der = base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))
    if len(der) != 44 or not der.startswith(PEM_PREFIX):
        raise ValueError("the key is not a public Ed25519 key")
    return der[12:]


def included(root: bytes, size: int, index: int, leaf: bytes, path: list[bytes]) -> bool:
    """Return whether the leaf is in the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verification(pack: Pack) -> Iterator[str]:
    """Print what the server found when the pack was made."""
    found = pack.read("verification.json")
    if not found["verified"]:
        yield from (f"the server found when it made the pack: {item['reason']}" for item in found["faults"])
    if found["events"] != len(pack.lines):
        yield "verification.json is about another number of events"
    pack.notes += [f"not checked by the server: {reason}" for reason in found["unchecked"]]


# Ed25519, after the Python code of RFC 8032, section 6.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
Point = Any  # extended coordinates


def add(a: Point, b: Point) -> Point:
    one, two = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    three, four = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = two - one, four - three, four + three, two + one
    return (e * f, g * h, f * g, e * h)


def multiply(number: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = add(found, point)
        point, number = add(point, point), number >> 1
    return found


def decompress(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_M1 % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


def ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r, s = decompress(key), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    base = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    left, right = multiply(s, base), add(r, multiply(hashed, a))
    return not any((left[axis] * right[2] - right[axis] * left[2]) % P for axis in (0, 1))


CHECKS: dict[str, Callable[[Pack], Iterator[str]]] = {
    "files as they were packed": files,
    "events follow from each other": chain,
    "digests and signatures": digests,
    "filed documents": filings,
    "Provenance in the chart": provenances,
    "signed checkpoint": checkpoint,
    "the server's own verification": verification,
}


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    arguments.add_argument("--key", type=Path, help="public key of the checkpoints, PEM file")
    given = arguments.parse_args()
    try:
        pack = Pack(given.folder, given.key)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"FAILED: this is not an evidence pack, or its events or manifest were changed ({error})")
        return 2
    wrong = 0
    for name, check in CHECKS.items():
        try:
            found = list(check(pack))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            found = [f"cannot be read ({type(error).__name__}: {error})"]
        wrong += len(found)
        print(f"{'FAILED' if found else 'ok    '}  {name}")
        for reason in found:
            print(f"        {reason}")
    for note in pack.notes:
        print(f"note    {note}")
    print(f"case {pack.manifest['case']}: " + ("DOES NOT HOLD" if wrong else "holds, as far as the notes say"))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
