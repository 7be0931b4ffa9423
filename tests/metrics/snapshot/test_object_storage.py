"""Snapshots in a bucket: delivered to a server that speaks S3, checks signatures and obeys policies."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from metrics.snapshot.delivery import Deliverer, secrets_in, write
from metrics.snapshot.package import MANIFEST, verify
from sync_core.estate.snapshot import SnapshotPolicy
from sync_core.reads.reads import Reads
from sync_core.reads.snapshots import SnapshotDelivery
from tests.metrics.snapshot.firm import SIGNER, Firm

BUCKET = "northfield-board"
TARGET = f"s3://{BUCKET}/packs"
VARIABLE = "NORTHFIELD_S3"
# What docs/snapshots.md asks for, and no more.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{BUCKET}"},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{BUCKET}/packs/*"},
    ],
}


@dataclass(frozen=True)
class Storage:
    """One server; `options` are Tieline's, which may do what POLICY says; with `own_options` all may be done."""

    options: dict[str, Any]
    own_options: dict[str, Any]
    owner: Any

    def versions(self, bucket: str = BUCKET) -> dict[str, int]:
        """How often each object was written."""
        found: dict[str, int] = {}
        for version in self.owner.list_object_versions(Bucket=bucket).get("Versions", []):
            found[version["Key"]] = found.get(version["Key"], 0) + 1
        return found

    def buckets(self) -> list[str]:
        return [one["Name"] for one in self.owner.list_buckets()["Buckets"]]


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx.post(f"{url}/moto-api/reset")
    iam = _client("iam", url, {"AccessKeyId": "first", "SecretAccessKey": "first"})
    owner = _user(iam, "owner", {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})  # fmt: skip
    own = _user(iam, "tieline", POLICY)
    # From here on each request is held against its signature and its user's policies.
    assert httpx.post(f"{url}/moto-api/reset-auth", content=b"0").status_code == 200
    s3 = _client("s3", url, owner)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    limited, whole = (
        {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"], "endpoint_url": url} for key in (own, owner)
    )
    yield Storage(limited, whole, s3)
    httpx.post(f"{url}/moto-api/reset-auth", content=b"inf")
    server.stop()


def _client(service: str, url: str, key: dict[str, str]) -> Any:
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key["AccessKeyId"],
                        aws_secret_access_key=key["SecretAccessKey"])  # fmt: skip


def _user(iam: Any, name: str, policy: dict[str, Any]) -> dict[str, str]:
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    key: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return key


def deliverer(one: Firm, home: Path, options: dict[str, Any] | None) -> Deliverer:
    given = {} if options is None else {VARIABLE: json.dumps(options)}
    return Deliverer(one.engine, one.clock, one.estate, home, given.get, tuple(one.maker.targets), "https://t.example")


def made(one: Firm, *targets: str) -> int:
    policy = SnapshotPolicy(deliver=targets, secret_env={"s3": VARIABLE})
    one.estate = replace(one.estate, snapshot=policy)
    asked = one.ask()
    assert one.maker.make_next() is not None
    return asked


def delivery(one: Firm, snapshot_id: int) -> SnapshotDelivery:
    found = Reads(one.engine, clock=one.clock, estate=one.estate).snapshot(snapshot_id)
    assert found is not None
    return found.deliveries[0]


def test_a_bucket_gets_it_whole_and_once(one: Firm, storage: Storage, tmp_path: Path) -> None:
    asked = made(one, TARGET)
    work = deliverer(one, tmp_path, storage.options)
    assert work.deliver_next()
    done = delivery(one, asked)
    assert (done.error, done.attempts) == (None, 1)
    assert not work.deliver_next()
    folder = f"packs/{(done.location or '').removeprefix(f'{TARGET}/')}"
    assert folder.startswith("packs/2026-W47/")
    for key, written in storage.versions().items():
        assert (key.rpartition("/")[0], written) == (folder, 1)
        body = storage.owner.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        (tmp_path / key.rpartition("/")[2]).write_bytes(body)
    assert verify(tmp_path, {SIGNER.public.id: SIGNER.public}).week == "2026-W47"

    # After a crash only what is missing is written.
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    storage.owner.delete_object(Bucket=BUCKET, Key=f"{folder}/{MANIFEST}")
    write(f"s3://{BUCKET}/{folder}", files, options=storage.options)
    assert storage.versions() == {f"{folder}/{name}": 1 + (name == MANIFEST) for name in files}


def test_a_wrong_secret_is_told_without_it_and_the_right_one_delivers(
    one: Firm, storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked = made(one, TARGET)
    wrong = {**storage.options, "secret": "not/the+secret=of/this"}
    with caplog.at_level(logging.DEBUG):
        assert deliverer(one, tmp_path, wrong).deliver_next()
    failed = delivery(one, asked)
    assert failed.delivered_at is None
    assert "PermissionError" in (failed.error or "")
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("metrics."))
    assert "snapshot not delivered to s3://northfield-board/packs" in ours
    for text in secrets_in(json.dumps(wrong)):
        assert text not in (failed.error or "")
        assert text not in ours
    assert all(wrong["secret"] not in record.getMessage() for record in caplog.records)
    assert storage.versions() == {}
    one.later(timedelta(minutes=2))
    assert deliverer(one, tmp_path, storage.options).deliver_next()
    assert delivery(one, asked).delivered_at is not None


def test_a_bucket_that_is_not_there_is_told_and_not_made(one: Firm, storage: Storage, tmp_path: Path) -> None:
    asked = made(one, "s3://northfield-baord/packs")
    assert deliverer(one, tmp_path, storage.own_options).deliver_next()  # which may make buckets
    failed = delivery(one, asked)
    assert (failed.delivered_at, failed.error) == (None, "FileNotFoundError: The specified bucket does not exist")
    assert storage.buckets() == [BUCKET]
    one.later(timedelta(minutes=2))
    assert deliverer(one, tmp_path, None).deliver_next()
    assert delivery(one, asked).error == f"{VARIABLE} is not set; give it the storage's options as a JSON object"


def test_what_an_option_holds_is_never_told_but_where_it_failed_is(one: Firm, tmp_path: Path) -> None:
    asked = made(one, TARGET)
    options = {"endpoint_url": "http://127.0.0.1:1", "key": "AKIAEXAMPLE", "secret": "s3cr3t-s3cr3t",
               "client_kwargs": {"region_name": "us-east-1"}, "config_kwargs": {"retries": {"total_max_attempts": 1}},
               "no such option": "s3cr3t-too"}  # fmt: skip
    assert deliverer(one, tmp_path, options).deliver_next()
    words = delivery(one, asked).error or ""
    assert words
    assert "s3cr3t" not in words
    del options["no such option"]
    one.later(timedelta(minutes=2))
    assert deliverer(one, tmp_path, options).deliver_next()
    words = delivery(one, asked).error or ""
    assert "http://127.0.0.1:1/" in words
    assert "s3cr3t" not in words
    assert secrets_in("no JSON") == frozenset()
    assert secrets_in(json.dumps(options)) == {"AKIAEXAMPLE", "s3cr3t-s3cr3t", "us-east-1"}
