"""A CA of one's own and a server certificate under it: enough for a demo, a test or a small MNSP.

Routers pin the CA (`ca.pem`), so the server certificate may be renewed without touching a router.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CA_LIFE = timedelta(days=3650)  # a router's life: what it pins should not expire under it
_SERVER_LIFE = timedelta(days=397)  # what browsers accept at most
_RENEW_BEFORE = timedelta(days=60)
_BACKDATE = timedelta(days=1)  # clocks of this machine and its clients differ
_Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def make_ca(now: datetime, key_pem: bytes = b"") -> Pair:
    """A CA, over the key given if there is one: what it signed before stays valid under the new certificate."""
    key = _load_key(key_pem) if key_pem else ec.generate_private_key(ec.SECP256R1())
    name = _name("routerd fleet CA")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(name, name, key, now + _CA_LIFE, now)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def make_server(ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    """A server certificate for host names and addresses, signed by `ca`."""
    ca_certificate, ca_key = x509.load_pem_x509_certificate(ca.certificate), _load_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    not_after = min(now + _SERVER_LIFE, ca_certificate.not_valid_after_utc)
    builder = _builder(_name("fleetd"), ca_certificate.subject, key, not_after, now)
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.SubjectAlternativeName(_alternatives(names)), False),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False),
    ]
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(_pem(builder.sign(ca_key, hashes.SHA256())), _key_pem(key))


def serves(certificate: bytes, names: Sequence[str], now: datetime) -> bool:
    """Whether a server certificate covers all names and does not end soon."""
    loaded = x509.load_pem_x509_certificate(certificate)
    covered = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return all(name in covered for name in _alternatives(names)) and now + _RENEW_BEFORE < loaded.not_valid_after_utc


def names_of(certificate: bytes) -> list[str]:
    """The host names and addresses a server certificate covers."""
    loaded = x509.load_pem_x509_certificate(certificate)
    covered = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in covered]


def utc_now() -> datetime:
    return datetime.now(UTC)


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    """Raises ValueError for a name that no certificate can carry."""
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _Key, not_after: datetime, now: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _BACKDATE).not_valid_after(not_after)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _load_key(pem: bytes) -> _Key:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the CA key is not an elliptic curve key")
    return key
