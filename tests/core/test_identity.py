"""The [identity] table: what it refuses, and which grants claims give."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sync_core.errors import InvalidEstate
from sync_core.estate.estate import load
from sync_core.estate.identity import Identity, claim, texts_of
from tests.rows import ESTATE_TEXT

GOOD = """
[identity]
issuer = "https://login.example.com"
client_id = "tieline"
client_secret_env = "NORTHFIELD_OIDC_SECRET"
roles_claim = "realm_access.roles"

[[identity.grant]]
value = "tieline-tax-uk"
role = "operator"
function = "tax"
entities = ["GB01"]

[[identity.grant]]
value = "tieline-audit"
role = "auditor"

[[identity.api_issuer]]
issuer = "https://login.example.com"
audience = "https://tieline.example/api"
"""


def identity(text: str) -> Identity:
    return load(ESTATE_TEXT + text).identity


def test_claims_give_the_grants_of_the_estate_each_once_and_in_its_order() -> None:
    found = identity(GOOD)
    held = {"realm_access": {"roles": ["tieline-audit", "canteen", "tieline-tax-uk", "tieline-audit"]}}
    assert [str(grant) for grant in found.grants_of(held)] == ["operator:tax@GB01", "auditor"]
    assert found.grants_of({}) == ()
    assert found.grants_of({"realm_access": "tieline-audit"}) == ()
    assert [str(grant) for grant in found.grants_of({"realm_access.roles": "tieline-audit"})] == ["auditor"]


def test_without_the_table_nobody_signs_in_by_a_provider() -> None:
    assert not load(ESTATE_TEXT).identity.signs_people_in
    assert identity(GOOD).signs_people_in


def test_claims_are_found_by_name_before_path_and_only_texts_count() -> None:
    assert claim({"https://a.example/roles": ["x"]}, "https://a.example/roles") == ["x"]
    assert claim({"a": {"b": 1}}, "a.c") is None
    assert claim({"a": 1}, "a.b") is None
    assert texts_of([1, "a", None]) == ("a",)
    assert texts_of({"a": 1}) == texts_of(None) == texts_of(7) == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("https://login.example.com", "http://login.example.com", "must begin with https"),
        ("https://login.example.com", "login.example.com", "must begin with https"),
        ('client_id = "tieline"\n', "", "belong together"),
        ('roles_claim = "realm_access.roles"', 'role_claim = "x"', "role_claim"),
        ('roles_claim = "realm_access.roles"', 'scopes = ["email"]', "openid"),
        ('roles_claim = "realm_access.roles"', "idle_minutes = 0", "idle_minutes"),
        ('role = "operator"', 'role = "admin"', "role"),
        ('role = "operator"', 'role = "auditor"', "only an operator"),
        ('function = "tax"', 'function = "taxes"', "function"),
        ('entities = ["GB01"]', 'entities = ["ZZ99"]', "ZZ99 is not in"),
        ('entities = ["GB01"]', "entities = []", "entities is empty"),
        ('audience = "https://tieline.example/api"', 'audience = "tieline"', "must differ"),
        ('audience = "https://tieline.example/api"', 'audience = "x"\njwks_url = "http://a.example"', "jwks_url"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_key(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(InvalidEstate, match=words):
        identity(GOOD.replace(old, new))


def test_the_documents_examples_are_an_estate() -> None:
    document = (Path(__file__).parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
    examples = "".join(re.findall(r"^```toml\n(.*?)^```$", document, re.MULTILINE | re.DOTALL))
    found = identity(examples.replace("NF-UK", "GB01"))
    held = {"realm_access": {"roles": ["tieline-tax-uk", "tieline-approvers"]}}
    assert [str(grant) for grant in found.grants_of(held)] == ["operator:tax@GB01", "approver"]
    assert len(found.api_issuer) == 1
    assert [field.name for field in fields(Identity) if field.name not in document] == []


def test_an_issuer_without_any_grant_is_refused() -> None:
    with pytest.raises(InvalidEstate, match=r"identity\.grant"):
        identity('[identity]\nissuer = "https://login.example.com"\nclient_id = "tieline"\n')


def test_issuers_of_programs_need_no_sign_in_of_people_and_stand_once() -> None:
    one = '[[identity.api_issuer]]\nissuer = "https://a.example"\naudience = "t"\n'
    assert not identity(one).signs_people_in
    with pytest.raises(InvalidEstate, match="twice"):
        identity(one + one)
