"""The keys of a node: found where they lie, made so that they are found again."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ffd.ports.wallet import Wallet, pem_of, public_text
from ffd.world import RealWorld

DEFAULT = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


def wallet(folder: Path) -> Wallet:
    return Wallet(DEFAULT, RealWorld(), folder)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_a_key_that_was_made_is_there_after_a_restart_and_for_nobody_else_to_read(tmp_path: Path) -> None:
    made = await wallet(tmp_path).make()
    assert modes(tmp_path) == {f"{made}.pem": 0o600}
    again = wallet(tmp_path)
    assert again.public_keys() == [public_text(DEFAULT), made]
    found = again.find(made)
    assert found is not None and public_text(found) == made


def test_a_key_that_somebody_puts_there_is_found_when_it_is_asked_for(tmp_path: Path) -> None:
    keys = wallet(tmp_path)
    assert keys.find(public_text(OTHER)) is None
    (tmp_path / "of my choice.pem").write_bytes(pem_of(OTHER))
    assert keys.find(public_text(OTHER)) is not None


def test_what_is_no_key_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_bytes(b"tea")
    (tmp_path / "long.pem").write_bytes(b"x" * 5000)
    (tmp_path / "folder.pem").mkdir()
    (tmp_path / "other.txt").write_bytes(pem_of(OTHER))
    assert wallet(tmp_path).public_keys() == [public_text(DEFAULT)]


def test_a_wallet_without_a_folder_has_its_one_key() -> None:
    keys = Wallet(DEFAULT)
    assert keys.public_keys() == [public_text(DEFAULT)] and keys.find(public_text(OTHER)) is None
