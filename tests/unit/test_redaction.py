"""What is said without the secrets: in every way of writing them, and readable all the same."""

import json

import pytest

from lib.redaction import Redaction
from lib.settings import Secret, load_settings

KEY = 'pk/9f+"Secret"=='


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.upper(),
        "pk%2F9f%2B%22Secret%22%3D%3D",
        "pk%2f9f%2b%22Secret%22%3d%3d",
        json.dumps(KEY)[1:-1],
        "pk/9f+&quot;Secret&quot;==",
        f"inthemiddle{KEY}ofaword",
    ],
)
def test_a_key_is_taken_out_however_it_is_written(form):
    redaction = Redaction([Secret(KEY)])

    assert redaction.text(f"refused: {form}.").startswith("refused: ")
    assert "secret" not in redaction.text(f"refused: {form}.").lower()
    assert "secret" not in json.dumps(redaction.document({form: [form, {"why": form}]})).lower()


def test_the_longest_goes_first_for_one_may_be_a_part_of_another():
    redaction = Redaction([Secret("0123456789ab"), Secret("0123456789abcdef")])

    assert redaction.text("0123456789abcdef") == "***"


def test_a_short_secret_is_a_word_of_its_own():
    redaction = Redaction([Secret("bars")])

    assert redaction.text("bars=1 me:bars@host 'bars' Bars") == "***=1 me:***@host '***' ***"
    assert redaction.text("rebars bars_v2") == "rebars bars_v2"
    assert redaction.document({"bars": "bars", "n": 1}) == {"bars": "***", "n": 1}


@pytest.mark.parametrize("secret", ["1", "true", "null", '"', "{"])
def test_a_result_stays_json_whatever_the_secret_is(secret):
    document = {"n": 1, "on": True, "nothing": None, "text": f"a {secret} b"}
    redacted = Redaction([Secret(secret)]).document(document)

    assert redacted == document | {"text": "a *** b"}


def test_without_secrets_nothing_changes():
    for nothing in (Redaction(), Redaction([Secret("")])):
        assert nothing.text("all of it") == "all of it"


def test_a_password_that_is_a_name_in_the_url_too_is_no_secret():
    named = load_settings({"DATABASE_URL": "postgresql://postgres:postgres@host/market"})
    other = load_settings({"DATABASE_URL": "postgresql://postgres:other@host/market"})

    assert Redaction(named.secrets).text("user postgres on host") == "user postgres on host"
    assert Redaction(other.secrets).text("postgres:other@host") == "postgres:***@host"
