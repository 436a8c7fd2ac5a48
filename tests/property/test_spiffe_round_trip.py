from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deputize.core.matching import parse_agent_pattern
from deputize.core.spiffe import SpiffeId, SpiffeIdError, parse_spiffe_id
from tests.harness.strategies import LAW

trust_domains = st.from_regex(r"[a-z0-9._-]{1,20}", fullmatch=True)
segments = st.from_regex(r"[A-Za-z0-9._-]{1,12}", fullmatch=True).filter(
    lambda segment: segment not in {".", ".."}
)
ids = st.builds(
    lambda domain, path: f"spiffe://{domain}/{'/'.join(path)}",
    trust_domains,
    st.lists(segments, min_size=1, max_size=3),
)
near_ids = st.builds(
    lambda text, place, piece: text[:place] + piece + text[place:],
    ids,
    st.integers(0, 40),
    st.text(max_size=2) | st.sampled_from(["/", "//", "/.", "%", "*", "@", ":", "A"]),
)


def parsed(text: str) -> SpiffeId | None:
    try:
        return parse_spiffe_id(text)
    except SpiffeIdError:
        return None


@LAW
@given(ids)
def test_a_spiffe_id_is_printed_as_it_was_read(text: str) -> None:
    spiffe_id = parse_spiffe_id(text)
    assert str(spiffe_id) == text
    assert f"spiffe://{spiffe_id.trust_domain}{spiffe_id.path}" == text


@LAW
@given(near_ids | st.text())
def test_what_is_read_is_never_repaired(text: str) -> None:
    spiffe_id = parsed(text)
    assert spiffe_id is None or str(spiffe_id) == text


@LAW
@given(near_ids, near_ids)
def test_two_spellings_are_two_identities(one: str, two: str) -> None:
    if parsed(one) is not None:
        assert (parsed(one) == parsed(two)) == (one == two)


@LAW
@given(ids, ids)
def test_an_id_is_a_pattern_for_itself_only(one: str, two: str) -> None:
    pattern = parse_agent_pattern(one)
    assert pattern.matches(parse_spiffe_id(one))
    assert pattern.matches(parse_spiffe_id(two)) == (one == two)
