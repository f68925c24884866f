"""A signed request cannot be changed, moved or dressed up: every byte of it counts."""

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import CorruptError
from routerd.wire import base64url, ed25519, signing
from routerd.wire.ed25519 import SigningKey
from routerd.wire.signing import Boot, Target

KEY = SigningKey(bytes([1]) * 32)
OTHER = SigningKey(bytes([2]) * 32)
TARGET = Target("POST", "ingest.example", "/v1/poll")
BOOT = Boot(base64url.encode(bytes(range(16))), 7)
NONCE = base64url.encode(bytes(range(32)))
BODY = b'{"v":1}'
HEADERS = signing.sign(TARGET, signing.content_digest(BODY), BOOT, NONCE, KEY)
CODES = {"signature.malformed", "signature.bad", "digest.mismatch"}


def accept(target: Target, headers: dict[str, str], body: bytes, public: bytes = KEY.public) -> None:
    """What a cloud does, in its order; the key is found by the id that the request names."""
    signed = signing.read(headers)
    signing.check_digest(signed, body)
    if signed.key_id != KEY.id:
        raise CorruptError("signature.bad", "no such key")
    signing.check_signature(target, signed, public)


def refusal(target: Target, headers: dict[str, str], body: bytes) -> str:
    with pytest.raises(CorruptError) as caught:
        accept(target, headers, body)
    return caught.value.code


def test_rfc_9421_b_2_6_is_reproduced() -> None:
    key = SigningKey(base64url.decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"))
    assert key.public == base64url.decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")
    components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("@method", "POST"),
        ("@path", "/foo"),
        ("@authority", "example.com"),
        ("content-type", "application/json"),
        ("content-length", "18"),
    ]
    names = " ".join(f'"{name}"' for name, _ in components)
    base = signing.signature_base(components, f'({names});created=1618884473;keyid="test-key-ed25519"')
    expected = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
    assert base64.b64encode(key.sign(base)).decode() == expected
    assert ed25519.verify(key.public, base, base64.b64decode(expected))


def test_rfc_8032_test_1_is_reproduced() -> None:
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    signature = key.sign(b"")
    assert signature.hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b"
    )


def test_rfc_9530s_digest_is_reproduced() -> None:
    expected = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert signing.content_digest(b'{"hello": "world"}\n') == expected


def test_a_signed_request_is_accepted() -> None:
    accept(TARGET, HEADERS, BODY)


@pytest.mark.parametrize("name", HEADERS)
def test_any_other_byte_in_a_header_is_refused(name: str) -> None:
    value = HEADERS[name]
    for at, char in enumerate(value):
        for other in {chr(ord(char) ^ 1), chr(ord(char) ^ 0x20), "A", "0", " "} - {char}:
            changed = HEADERS | {name: value[:at] + other + value[at + 1 :]}
            assert refusal(TARGET, changed, BODY) in CODES, (name, at, other)


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_cut_or_continued_is_refused(name: str) -> None:
    value = HEADERS[name]
    for changed in (
        value[:-1],
        value[1:],
        value + "\n",
        value + " ",
        " " + value,
        f"{value}, {value}",
        value + "é",
        "",
    ):
        assert refusal(TARGET, HEADERS | {name: changed}, BODY) in CODES, changed
    assert refusal(TARGET, {key: value for key, value in HEADERS.items() if key != name}, BODY) in CODES


def test_any_other_byte_of_body_method_authority_or_path_is_refused() -> None:
    for at in range(len(BODY)):
        changed = bytes([*BODY[:at], BODY[at] ^ 1, *BODY[at + 1 :]])
        assert refusal(TARGET, HEADERS, changed) == "digest.mismatch"
    assert refusal(TARGET, HEADERS, BODY + b" ") == "digest.mismatch"
    other = signing.content_digest(b"{}")
    assert refusal(TARGET, HEADERS | {"Content-Digest": other}, b"{}") == "signature.bad"
    for method in ("PUT", "post", "POST ", "POS"):
        assert refusal(Target(method, TARGET.authority, TARGET.path), HEADERS, BODY) == "signature.bad"
    for field in ("authority", "path"):
        value = getattr(TARGET, field)
        for at, char in enumerate(value):
            changed_value = value[:at] + chr(ord(char) ^ 1) + value[at + 1 :]
            target = Target("POST", **{"authority": TARGET.authority, "path": TARGET.path} | {field: changed_value})
            assert refusal(target, HEADERS, BODY) == "signature.bad", changed_value


def test_the_same_bytes_in_another_base64_are_refused() -> None:
    text = HEADERS["Signature"][5:-3]  # within `sig=:…==:`
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".index(text[-1])
    stray = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[last ^ 1]
    twin = f"sig=:{text[:-1]}{stray}==:"
    assert base64.b64decode(twin[5:-1]) == base64.b64decode(HEADERS["Signature"][5:-1])
    assert refusal(TARGET, HEADERS | {"Signature": twin}, BODY) == "signature.malformed"
    for value in (base64url.encode(bytes(32)), base64url.encode(bytes(16)), base64url.encode(bytes(64))):
        with pytest.raises(CorruptError):
            base64url.decode(value[:-1] + "B")


def test_another_key_is_refused_whatever_id_it_claims() -> None:
    with pytest.raises(CorruptError) as caught:
        accept(TARGET, HEADERS, BODY, OTHER.public)
    assert caught.value.code == "signature.bad"
    forged = signing.sign(TARGET, signing.content_digest(BODY), BOOT, NONCE, OTHER)
    named = {**forged, "Signature-Input": HEADERS["Signature-Input"]}
    assert refusal(TARGET, named, BODY) == "signature.bad"


def test_a_public_key_of_small_order_signs_nothing() -> None:
    for point in (
        "01" + "00" * 31,
        "00" * 32,
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ):
        public = bytes.fromhex(point)
        assert not ed25519.verify(public, b"anything", public + bytes(32))


def test_a_signature_has_no_second_form() -> None:
    order = (1 << 252) + 27742317777372353535851937790883648493
    signature = KEY.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + order
    assert scalar < 1 << 256
    assert not ed25519.verify(KEY.public, b"message", signature[:32] + scalar.to_bytes(32, "little"))
    assert not ed25519.verify(KEY.public, b"message", signature[:63])
    assert not ed25519.verify(KEY.public[:31], b"message", signature)


@pytest.mark.parametrize("count", [0, -1, 1 << 64])
def test_a_count_out_of_range_is_neither_signed_nor_read(count: int) -> None:
    with pytest.raises(ValueError, match="boot"):
        signing.sign(TARGET, signing.content_digest(BODY), Boot(BOOT.id, count), NONCE, KEY)
    assert refusal(TARGET, HEADERS | {"Routerd-Boot": f"{BOOT.id}.{count}"}, BODY) == "signature.malformed"


@pytest.mark.parametrize("path", ["/v1/poll?x=1", "/v1/%70oll", "v1/poll", "/v1/poll\n", "/v1/pöll", ""])
def test_a_path_that_two_sides_could_write_in_two_ways_is_never_signed(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        signing.sign(Target("POST", "ingest.example", path), signing.content_digest(BODY), BOOT, NONCE, KEY)


def test_a_key_shows_nothing_of_its_seed() -> None:
    shown = repr(KEY) + str(KEY)
    assert KEY.id in shown
    assert "0101" not in shown


@given(st.data())
def test_mutated_input_is_never_accepted_and_raises_nothing_else(data: st.DataObject) -> None:
    value = HEADERS["Signature-Input"]
    at = data.draw(st.integers(0, len(value)))
    end = data.draw(st.integers(at, len(value)))
    insert = data.draw(st.text(max_size=8) | st.sampled_from(re.findall(r"[^;]+|;", value)))
    changed = value[:at] + insert + value[end:]
    if changed != value:
        assert refusal(TARGET, HEADERS | {"Signature-Input": changed}, BODY) in CODES
