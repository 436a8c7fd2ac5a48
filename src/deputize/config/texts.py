"""The kinds of text in a configuration, each with the check that says what is allowed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.fields import FieldInfo

from deputize.core.call_patterns import parse_call_text
from deputize.core.claims import parse_claim_path, parse_scope_claim
from deputize.core.matching import (
    PatternError,
    parse_agent_pattern,
    parse_host_pattern,
    parse_method,
    parse_path_pattern,
)
from deputize.core.profiles import ABSENT_TYPE, FOREIGN_TYPES, normalize_type
from deputize.core.spiffe import TrustDomain, parse_spiffe_id

_MAX_PORT = 65535
_ADDRESS = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_SOCKET = re.compile(r"unix:/[!-~]+")
# No quote and no backslash: a challenge puts a URL between quotes.
_URL = re.compile(r'(https?)://([^/?#@\s"\\]+)(?:[/?][!#-\[\]-~]*)?')
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PORT = re.compile(r":[0-9]{1,5}$")
_LOOPBACK = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]{1,5})?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PROFILE = re.compile(rf"(?:{_NAME.pattern}\.)?{_NAME.pattern}")
_PREFIX = re.compile(r"x-[a-z0-9-]{1,37}-")
_ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_UPGRADE = re.compile(r"[a-z0-9][a-z0-9./-]{0,63}")
_KIND_WORD = re.compile(r"\*|\*[^* ]+|[^* ]+\*?")


def _checked(check: Callable[[str], object]) -> AfterValidator:
    def validate(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validate)


def _like(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> None:
        if not pattern.fullmatch(text):
            raise ValueError(what)

    return _checked(check)


def _either(what: str) -> WrapValidator:
    """One message where a value has one of several types, not one message for each of them."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(what) from None

    return WrapValidator(validate)


def _shown(pattern: re.Pattern[str]) -> FieldInfo:
    """The pattern for editors, which read the JSON Schema."""
    info: FieldInfo = Field(json_schema_extra={"pattern": f"^(?:{pattern.pattern})$"})
    return info


def _address(text: str) -> None:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[1]) > _MAX_PORT:
        raise ValueError("an address is `host:port`, for example `127.0.0.1:9191`")


def _address_or_socket(text: str) -> None:
    if not _SOCKET.fullmatch(text):
        try:
            _address(text)
        except ValueError as error:
            raise ValueError(f"{error}, or `unix:/path`") from None


def _host(text: str) -> None:
    """As in `core/matching.py`; of what is none it says what it is, and what may be meant."""
    try:
        parse_host_pattern(text)
    except PatternError as error:
        raise ValueError(_host_slip(text) or str(error)) from None


def _host_slip(text: str) -> str:
    bare = _SCHEME.sub("", text, count=1)
    bare, slash, _ = bare.partition("/")
    before, bare = bare, bare if _is_host(bare) else _PORT.sub("", bare)
    slips = [
        name
        for name, is_there in (
            ("scheme", _SCHEME.match(text) is not None),
            ("path", bool(slash)),
            ("port", bare != before),
            ("upper case letter", bare != bare.lower()),
        )
        if is_there
    ]
    if not slips or not _is_host(bare.lower()):
        return ""
    return f"a host has no {', no '.join(slips)}; write `{bare.lower()}`"


def _is_host(text: str) -> bool:
    try:
        parse_host_pattern(text)
    except PatternError:
        return False
    return True


def _url(text: str) -> None:
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("a URL is `https://host/path`, without user, fragment or space")
    if match[1] == "http" and not _LOOPBACK.fullmatch(match[2]):
        raise ValueError("only `https` is allowed, or `http` on loopback")


def _token_type(text: str) -> None:
    if text != ABSENT_TYPE and normalize_type(text) != text:
        raise ValueError("a token type is in lower case, without `application/`")
    if text in FOREIGN_TYPES:
        raise ValueError("tokens of this type are no access tokens")


def _status_prefix(text: str) -> None:
    _url(text)
    if not text.endswith("/") or "?" in text or "/." in text:
        raise ValueError(
            "a prefix is like `https://idp.example.org/status/`, with a `/` at its end"
        )


def _clock(text: str) -> None:
    if not _CLOCK.fullmatch(text):
        raise ValueError("a time of day is `HH:MM`, from `00:00` to `23:59`")


def _zone(text: str) -> None:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ValueError("no known time zone; one is like `Europe/Berlin`") from None


def _moment(text: str) -> None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("a moment is RFC 3339 with a zone, like `2026-12-31T18:00:00+01:00`")


def _unique(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        repeated = sorted(value for value, count in Counter(values).items() if count > 1)
        raise ValueError(f"stands twice: {', '.join(repeated)}")
    return values


Text = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
ProfileText = Annotated[
    Text,
    _shown(_PROFILE),
    _like(_PROFILE, "a profile is named `<name>`, an object `<namespace>.<name>`"),
]
Name = Annotated[Text, _shown(_NAME), _like(_NAME, "a name has a-z, 0-9 and inner -")]
HeaderName = Annotated[
    Text, _shown(_NAME), _like(_NAME, "a header name is in lower case: a-z, 0-9 and -, at most 63")
]
HeaderPrefix = Annotated[
    Text,
    _shown(_PREFIX),
    _like(_PREFIX, "a header prefix is like `x-acme-`"),
]
Address = Annotated[Text, _checked(_address)]
AddressOrSocket = Annotated[Text, _checked(_address_or_socket)]
Url = Annotated[Text, _checked(_url)]
ScopeText = Annotated[
    Text,
    _shown(_SCOPE),
    _like(_SCOPE, "a scope has no space, quote or backslash"),
]
AgentText = Annotated[Text, _checked(parse_agent_pattern)]
HostText = Annotated[Text, _checked(_host)]
MethodText = Annotated[Text, _checked(parse_method)]
PathText = Annotated[Text, _checked(parse_path_pattern)]
CallText = Annotated[Text, _checked(parse_call_text)]
ClockText = Annotated[Text, _shown(_CLOCK), _checked(_clock)]
ZoneText = Annotated[Text, _checked(_zone)]
MomentText = Annotated[Text, _checked(_moment)]
UpgradeText = Annotated[
    Text, _shown(_UPGRADE), _like(_UPGRADE, "an upgrade is in lower case, for example `websocket`")
]
ExpressionText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
TrustDomainText = Annotated[Text, _checked(TrustDomain)]
SpiffeIdText = Annotated[Text, _checked(parse_spiffe_id)]
ClaimText = Annotated[Text, _checked(parse_claim_path)]
ScopeClaimText = Annotated[Text, _checked(parse_scope_claim)]
AttributeName = Annotated[
    Text, _shown(_ATTRIBUTE), _like(_ATTRIBUTE, "an attribute name has letters, digits, _ and -")
]
KindWord = Annotated[
    Text,
    _shown(_KIND_WORD),
    _like(_KIND_WORD, "a word has no space, and a `*` at one end only"),
]
TokenType = Annotated[Text, _checked(_token_type)]
StatusPrefix = Annotated[Text, _checked(_status_prefix)]
UniqueTexts = AfterValidator(_unique)
Scalar = Annotated[
    Annotated[str | int | float | bool, Field(union_mode="left_to_right")],
    _either("a value is a text, a number, `true` or `false`"),
]
Number = Annotated[int | float, _either("must be a number")]
TextOrTexts = Annotated[
    Annotated[list[Text], UniqueTexts, Field(min_length=1)] | Text,
    _either("must be a text, or a list of different texts"),
]
