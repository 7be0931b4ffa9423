"""The README of a folder of evidence: what an auditor reads first, with nothing of ours installed."""

from typing import Final

README: Final = """\
EVIDENCE OF CONTRACT {external_id}
from {source}
as of {as_of} (what was recorded before that moment; all times are UTC)

What is in this folder

  contract.json     the contract as Tieline understood it: all events folded into one, with its decisions
  events.jsonl      every event of the contract, whole, in the order recorded (one JSON object a line)
  plans.jsonl       every run against the ERP with its operations: before and after, the ERP's own references
  approvals.json    decisions on the contract, and the replays it was part of with who confirmed and approved them
  exceptions.json   what a person had to help with, each with its history
  crosswalk.json    which ERP object stands for which part of the contract
  financial.json    invoices, payments and disputes as the ERP reported them
  holds.json        legal holds on the contract
  audit.jsonl       every audit row of the contract: who did what, when, why, with before and after in `detail`
  proof.json        that those rows stand in the audit's chain, unchanged (see below)
  key.pem           the public key that belongs to the signatures; its id is {key_id}
  manifest.json     the SHA-256 of each of the other files, signed

How to check it

  With Tieline:     tieline evidence-verify FOLDER --key KEY.PEM     (offline; no database is asked)
  Take KEY.PEM from whoever runs Tieline (`tieline audit key`), not from this folder: key.pem only helps to compare.

  Without Tieline:
  1. The SHA-256 of each file is the one in manifest.json (for instance with sha256sum).
  2. The signature: remove "signature" from manifest.json, write the rest as JSON with sorted keys and no spaces, in
     UTF-8. Over these bytes the signature (base64) is Ed25519 (RFC 8032).
  3. An audit row's content hash is the SHA-256 of the JSON array, without spaces, of its columns in the order of
     audit.jsonl without the last two: id, occurred_at, actor, actor_kind, roles, action, subject, reason, contract_id,
     legal_entity, correlation_id, detail (a text), items, items_root. occurred_at has six decimals and +00:00.
  4. Its hash is the SHA-256 of 64 bytes: the `previous` hash, then the content hash.
  5. proof.json leads from each row to a hash that is vouched for. Begin with `previous` of a stretch, take the content
     hashes one by one as in 4, and come to its `hash`. The contents between are those of rows about other contracts:
     they can be followed, not read.
  6. A stretch is vouched for by a checkpoint: its message, the JSON array ["tieline.audit.checkpoint.v1", id, hash,
     occurred_at, rows, key_id] without spaces, carries its Ed25519 signature, made on the day it says. Rows after the
     last checkpoint are vouched for by manifest.json, which names the audit's last row in `head`.
  `items` and `items_root`: a command on many things has one row; the root is a Merkle root (RFC 6962) over them.
"""
