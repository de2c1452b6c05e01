# SPDX-License-Identifier: Apache-2.0
"""The engine started by hand: it does not listen where others could read along or get in."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from unibiomed.errors import InputError
from unibiomed.server.standalone import Options, check_options, is_loopback, read_token

COMMAND = [sys.executable, "-m", "unibiomed.cli", "serve"]
TOKEN = "0123456789abcdef-hand"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate for localhost and its key, made for these tests."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext {names} -keyout {key} -out {cert}"
    subprocess.run(command.split(" "), check=True, capture_output=True)
    return cert, key


def test_on_this_machine_alone_a_token_is_made_up():
    first, second = check_options(Options()), check_options(Options())
    assert first != second
    assert len(first) >= 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_this_machine_a_token_and_tls_are_needed(host, token_file, certificate):
    cert, key = certificate
    with pytest.raises(InputError, match="--token-file"):
        check_options(Options(host=host, certificate=cert, key=key))
    with pytest.raises(InputError, match="--tls-cert"):
        check_options(Options(host=host, token_file=token_file))
    assert check_options(Options(host=host, token_file=token_file, certificate=cert, key=key)) == TOKEN
    assert check_options(Options(host=host, token_file=token_file, behind_proxy=True)) == TOKEN


def test_half_a_certificate_and_missing_files_are_refused(tmp_path, certificate):
    cert, key = certificate
    for options in (
        Options(certificate=cert),
        Options(key=key),
        Options(certificate=tmp_path / "none", key=key),
        Options(folders={"own": tmp_path / "none"}),
        Options(token_file=tmp_path / "none"),
    ):
        with pytest.raises(InputError):
            check_options(options)


@pytest.mark.parametrize("text", ["", "short", "with blanks in the middle of it", "x" * 501, "ä" * 20])
def test_a_weak_token_is_refused(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="16 to 500"):
        read_token(path)


def test_loopback_is_told_from_what_others_can_reach():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert not is_loopback("0.0.0.0")
    with pytest.raises(InputError):
        is_loopback("no such host.invalid")


def test_the_command_refuses_with_exit_code_2_and_one_sentence():
    done = subprocess.run(
        [*COMMAND, "--host", "0.0.0.0", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "--token-file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_over_tls_the_client_can_check_the_certificate_and_ctrl_c_ends_the_engine(certificate, token_file):
    cert, key = certificate
    command = [*COMMAND, "--port", "0", "--model", "none", "--log-level", "warning"]
    command += ["--tls-cert", str(cert), "--tls-key", str(key), "--token-file", str(token_file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stderr.readline()
        url = next(word for word in line.split() if word.startswith("https://"))
        trusted = ssl.create_default_context(cafile=str(cert))
        headers = {"Authorization": f"Bearer {TOKEN}", "UniBiomed-Protocol": "1"}
        with httpx.Client(base_url=url, verify=trusted, headers=headers, timeout=60) as client:
            assert client.get("/v1/models").status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/protocol", timeout=60)
        begun = time.monotonic()
        process.send_signal(2)
        assert process.wait(30) == 0
        assert time.monotonic() - begun < 5
    finally:
        process.kill()
        process.wait(30)
        process.stderr.close()
