"""What POST /v1/validations and `tieline validate` say of terms that cannot be read."""

import pytest

from app.api.validations import draft_of
from sync_core.commands.desk import InvalidInput
from tests.sows import estate


def test_incomplete_terms_are_named_field_by_field() -> None:
    with pytest.raises(InvalidInput, match=r"terms\.title: field required; .*; and \d+ more"):
        draft_of(b'{"terms": {"a": 1}}', estate())


def test_a_request_without_terms_is_told_so() -> None:
    with pytest.raises(InvalidInput, match="terms: field required"):
        draft_of(b"{}", estate())
