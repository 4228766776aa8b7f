from __future__ import annotations

import json
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from controller.core.excerpt import SHOWN, masked
from controller.core.explain import explain_text, explanation_data, explanation_lines
from controller.core.failure import FAILURES, FailureKind, Treatment, diagnose

SAMPLES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "failures.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
PIECES = st.sampled_from(
    [*(text.replace("…", " x ") for row in FAILURES for text in row.texts)]
    + [f"ORA-{code:05d}: " for row in FAILURES for code in sorted(row.codes)]
    + ["Caused by: ", "\n\tat a.B.c(D.java:1)\n", "Suppressed: ", "'", '"', "\n", "{", "\\n"]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=40)), max_size=30).map("".join)


@given(TEXTS)
@example("İ" * 500 + "caused by: x")
@example('{"a": [' * 2000)
@example("\\n")
def test_any_text_gets_one_whole_answer(text: str) -> None:
    data = explanation_data(explain_text(text))
    assert json.loads(json.dumps(data)) == data
    assert data["restartHelps"] == (data["action"] == "restart")
    assert len(str(data["matched"])) <= SHOWN
    assert len(str(data["cause"])) <= SHOWN
    assert "\n" not in str(data["matched"]) + str(data["cause"])
    assert explanation_lines(explain_text(text))


@given(TEXTS)
def test_the_same_text_gets_the_same_answer(text: str) -> None:
    assert diagnose(text) == diagnose(text)


@given(st.sampled_from(SAMPLES), st.text(alphabet=" \n\t", max_size=20))
def test_blanks_around_a_text_change_nothing(sample: dict[str, str], blanks: str) -> None:
    assert diagnose(blanks + sample["text"] + blanks).failure.id == sample["failure"]


@given(st.sampled_from(SAMPLES))
def test_a_text_sent_as_json_is_the_same_text(sample: dict[str, str]) -> None:
    sent = json.dumps({"id": 0, "state": "FAILED", "trace": sample["text"]})
    assert diagnose(sent).failure.id == sample["failure"]


@given(st.sampled_from(SAMPLES), st.sampled_from(SAMPLES))
def test_a_lost_position_or_refused_login_is_never_restarted_for_what_stands_beside_it(
    one: dict[str, str], other: dict[str, str]
) -> None:
    grave = {FailureKind.DATA_POSITION, FailureKind.CREDENTIAL}
    together = diagnose(f"{one['text']}\n{other['text']}")
    if together.kind in grave:
        assert together.treatment is not Treatment.RESTART
    elif {diagnose(one["text"]).kind, diagnose(other["text"]).kind} <= {FailureKind.TRANSIENT}:
        assert together.treatment in {Treatment.WAIT, Treatment.RESTART}


@given(st.text(alphabet=st.characters(exclude_characters="'\"`«»„“”「」\n"), min_size=12))
def test_what_is_quoted_is_not_shown(secret: str) -> None:
    shown = masked(f"Failed to parse DML: update T set NAME = '{secret}' where ID = \"{secret}\"")
    assert secret.strip() not in shown or secret.strip() in "Failed to parse DML: update T set NAME"


@given(st.text(max_size=2000))
def test_masking_twice_shows_no_more_than_masking_once(line: str) -> None:
    assert len(masked(masked(line))) <= SHOWN


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=8, max_size=40))
def test_a_password_in_the_usual_forms_is_not_shown(secret: str) -> None:
    canary = f"q{secret}q"
    for text in (
        f"password={canary}", f'"password": "{canary}"', f"sasl.jaas.config password='{canary}';",
        f"postgresql://cdc:{canary}@db/wms", f"jdbc:oracle:thin:cdc/{canary}@//db/wms",
        f"database.password = {canary}", f"Authorization: Bearer {canary}", f"token:{canary}",
    ):  # fmt: skip
        answer = explain_text(f"ORA-01017: {text}\nCaused by: x.YException: {text}")
        assert canary not in json.dumps(explanation_data(answer))
        assert canary not in "\n".join(explanation_lines(answer))
