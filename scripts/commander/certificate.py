"""A self-signed certificate, as a controller makes itself one."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_LIFE = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM of the certificate and its key; `fingerprint` is the SHA-256 of the DER in lower-case hex."""

    pem: bytes
    key: bytes
    fingerprint: str

    def load_into(self, context: ssl.SSLContext) -> None:
        """Serve it on every handshake from now on."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "both.pem"
            path.touch(mode=0o600)
            path.write_bytes(self.pem + self.key)
            context.load_cert_chain(path)


def make_certificate(name: str = "commander") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=who, issuer_name=who, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    signed = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + _LIFE).sign(key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(pem, secret, sha256(signed.public_bytes(serialization.Encoding.DER)).hexdigest())
