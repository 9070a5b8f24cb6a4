"""This machine's signing key: made on first use, kept for its owner's eyes, and nobody's name in it.

``signer.pem`` (certificates, the signer's first) and ``signer.key`` in ``ALLAPRIMA_CONFIG``, or in ``allaprima`` of the
platform's folder for settings. Whoever has a certificate that others trust puts it there instead. Whoever deletes both files
gets new ones: pictures signed before and after can then not be told to come from one machine.

Use: ``certificates, key = load()``.
"""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path
from typing import Any

from allaprima.core.errors import UserError
from allaprima.core.files import write_atomic

CERTIFICATES, KEY = "signer.pem", "signer.key"
YEARS = 10
NAME = "Alla Prima"
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def folder() -> Path:
    """Where the two files are; it need not exist."""
    named = os.environ.get("ALLAPRIMA_CONFIG")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "allaprima"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "allaprima"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "allaprima"


def load() -> tuple[str, str]:
    """Certificates and private key as PEM; made where there are none, and kept where that can be done.

    Raises UserError where one of the two files is missing.
    """
    home = folder()
    certificates, key = home / CERTIFICATES, home / KEY
    there = [path.is_file() for path in (certificates, key)]
    if all(there):
        return certificates.read_text(), key.read_text()
    if any(there):
        raise UserError(
            f"'{home}' has one of {CERTIFICATES} and {KEY}, not both", "put the other there, or delete the one"
        )
    made = make()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(key, made[1])
        key.chmod(0o600)
        write_atomic(certificates, made[0])
    except (OSError, UserError):
        pass  # a home that cannot be written to: a key for this process alone
    return made


def make() -> tuple[str, str]:
    """A new pair: ECDSA on P-256, a root and a signer under it, as C2PA's certificate profile asks for."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    today = datetime.datetime.combine(datetime.datetime.now(datetime.UTC).date(), datetime.time(), datetime.UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def named(words: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, NAME),
                x509.NameAttribute(NameOID.COMMON_NAME, f"{NAME}, {words}"),
            ]
        )

    def begun(subject: x509.Name, public: Any, is_root: bool) -> x509.CertificateBuilder:
        usage = dict.fromkeys(USAGES, False)
        usage |= {"key_cert_sign": True, "crl_sign": True} if is_root else {"digital_signature": True}
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(named("local root"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today)
            .not_valid_after(today + datetime.timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=0 if is_root else None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )

    root = begun(named("local root"), root_key.public_key(), is_root=True).sign(root_key, hashes.SHA256())
    signer = begun(named("local signer"), key.public_key(), is_root=False)
    signer = signer.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    chain = [signer.sign(root_key, hashes.SHA256()), root]
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return "".join(one.public_bytes(pem).decode() for one in chain), secret.decode()
