"""Mails over SMTP and into a directory, read back by another program."""

import email
import email.header
import email.policy
import email.utils
import os
import random
import stat
import time

import pytest

from authority import Authority
from mail_server import MailServer

MAIL = {"to": "ann@example.com", "name": "Ann", "subject": "Activate your Wrenn account", "text": "Hello Ann,\nhere it is.\n",
        "html": "<p>Hello <b>Ann</b></p>\n"}


def send(probe, server, authority=None, security="auto", **changes):
    return probe.ask(**{**MAIL, "host": "localhost", "port": server.port, "security": security, "ca_file": authority.file if authority else "/dev/null",
                        **changes})


def read(data):
    message = email.message_from_bytes(data, policy=email.policy.default)
    assert not message.defects and not any(part.defects for part in message.walk())
    return message


def contents(message):
    """type → text of the parts, its lines ended as ours are."""
    return {part.get_content_type(): part.get_content().replace("\r\n", "\n") for part in message.walk() if not part.is_multipart()}


def test_a_mail_without_anything_special(probe):
    with MailServer() as server:
        assert send(probe, server) == {}
        session = server.sessions[0]
        assert (session["sender"], session["recipient"], session["tls"], session["user"]) == ("<wrenn@example.org>", "<ann@example.com>", False, None)
        assert server.lines[-1] == "QUIT"
        message = read(session["data"])
        assert str(message["From"]) == "Wrenn <wrenn@example.org>"
        assert str(message["To"]) == "Ann <ann@example.com>" and message["Subject"] == MAIL["subject"]
        assert abs(message["Date"].datetime.timestamp() - time.time()) < 60
        assert message["Message-ID"].endswith("@example.org>") and message["Auto-Submitted"] == "auto-generated"
        assert message.get_content_type() == "multipart/alternative"
        assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
        assert contents(message) == {"text/plain": MAIL["text"], "text/html": MAIL["html"]}


def test_two_mails_differ_in_their_ids(probe):
    with MailServer() as server:
        assert send(probe, server) == {} and send(probe, server) == {}
        one, other = (read(session["data"]) for session in server.sessions)
        assert one["Message-ID"] != other["Message-ID"] and one.get_boundary() != other.get_boundary()


TEXTS = ["Grüße aus Köln: ünïcödé\n", "日本語のとても長い件名" * 30 + "\n", ".\n..\n.dot at the begin\n\n.\n", "x" * 5000 + "\n", "From here\n>From there\n",
         "ends in spaces   \nand tabs\t\n", "no line break at its end", "=3D is not =\n", "🎉" * 200 + "\n", "--=_boundary\n--\n", "\n\n\n",
         "a\x00b\x1b[31m\n"]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_arrive_as_they_were(probe, text):
    with MailServer() as server:
        assert send(probe, server, text=text, html=f"<p>{text}</p>") == {}
        got = contents(read(server.sessions[0]["data"]))
        # Python's parser ends the last line of a part, and a text that ends without one gets it from the format.
        assert got["text/plain"].rstrip("\n") == text.rstrip("\n")
        assert got["text/html"].rstrip("\n") == f"<p>{text}</p>"
        assert all(len(line) <= 78 for line in server.sessions[0]["data"].split(b"\r\n"))
        assert server.sessions[0]["data"].isascii()


def test_random_texts_arrive_as_they_were(probe):
    pick = random.Random(5)
    letters = ".=\n \tFrom aäß日🎉-_?\"\\"
    with MailServer() as server:
        for _ in range(60):
            text = "".join(pick.choice(letters) for _ in range(pick.randrange(400))).rstrip("\n") + "\n"
            subject = " ".join("".join(pick.choice("aäß日🎉=?_\"\\<>,;:.") for _ in range(pick.randrange(1, 40))) for _ in range(pick.randrange(1, 5)))
            assert send(probe, server, text=text, html="", subject=subject, name=subject) == {}
            message = read(server.sessions[-1]["data"])
            assert list(contents(message)) == ["text/plain"]
            assert contents(message)["text/plain"].rstrip("\n") == text.rstrip("\n")
            assert message["Subject"] == subject
            assert message["To"].addresses[0].addr_spec == MAIL["to"]
            # The newer parser of Python loses spaces at the edges of encoded words in names.
            name = email.message_from_bytes(server.sessions[-1]["data"])["To"].removesuffix(f" <{MAIL['to']}>")
            if name.startswith('"'):
                name = email.utils.unquote(name)
            assert str(email.header.make_header(email.header.decode_header(name))) == subject


@pytest.mark.parametrize("field", ["to", "name", "subject"])
def test_no_field_can_be_slipped_in(probe, field):
    with MailServer() as server:
        got = send(probe, server, **{field: MAIL[field] + "\r\nBcc: eve@example.com\r\n\r\nbody"})
        if got == {}:
            message = read(server.sessions[0]["data"])
            assert message["Bcc"] is None and len(message["To"].addresses) == 1
            assert contents(message)["text/plain"] == MAIL["text"]
        else:
            assert field == "to" and got["error"] == "invalid_argument" and server.connections == 0


# Who may read along.

def test_starttls_where_it_is_offered(probe, authority):
    with MailServer(starttls=authority.server) as server:
        assert send(probe, server, authority) == {}
        assert server.sessions[0]["tls"] and "data" in server.sessions[0]


def test_a_password_goes_over_starttls(probe, authority):
    with MailServer(starttls=authority.server, users={"wrenn": "pässword"}) as server:
        assert send(probe, server, authority, username="wrenn", password="pässword") == {}
        assert server.sessions[0]["tls"] and server.sessions[0]["user"] == "wrenn"


def test_tls_from_the_first_byte(probe, authority):
    with MailServer(tls=authority.server, users={"wrenn": "secret"}) as server:
        assert send(probe, server, authority, "tls", username="wrenn", password="secret") == {}
        assert server.sessions[0]["user"] == "wrenn" and "data" in server.sessions[0]


@pytest.mark.parametrize("security", ["auto", "starttls"])
def test_no_password_without_tls(probe, authority, security):
    with MailServer(users={"wrenn": "secret"}) as server:
        got = send(probe, server, authority, security, username="wrenn", password="secret")
        assert got["error"] == "unavailable" and "offers no TLS" in got["message"]
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.lines)


def test_no_mail_without_tls_where_it_is_wanted(probe, authority):
    with MailServer() as server:
        assert send(probe, server, authority, "starttls")["error"] == "unavailable"
        assert not any(line.startswith("MAIL") for line in server.lines)


def test_plain_if_the_operator_says_so(probe, authority):
    with MailServer(starttls=authority.server, users={"wrenn": "secret"}) as server:
        assert send(probe, server, security="plain", username="wrenn", password="secret") == {}
        assert not server.sessions[0]["tls"] and server.sessions[0]["user"] == "wrenn"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_that_is_not_trusted(probe, authority, security, tmp_path):
    other = Authority(str(tmp_path))
    options = {"tls": authority.server} if security == "tls" else {"starttls": authority.server}
    with MailServer(users={"wrenn": "secret"}, **options) as server:
        got = send(probe, server, other, security, username="wrenn", password="secret")
        assert got["error"] == "unavailable" and "not trusted" in got["message"]
        assert not any(line.startswith(("AUTH", "MAIL")) for line in server.lines)


# Refusals.

def test_a_wrong_password(probe, authority):
    with MailServer(starttls=authority.server, users={"wrenn": "secret"}) as server:
        got = send(probe, server, authority, username="wrenn", password="wr0ng-pass")
        assert got["error"] == "unauthenticated" and "wrong user name" in got["message"]
        assert "wr0ng-pass" not in got["message"]
        assert not any(line.startswith("MAIL") for line in server.lines)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reply,code", [("450 4.2.1 try again later", "unavailable"), ("550 5.1.1 nobody of that name", "failed_precondition")])
def test_a_mail_that_the_server_refuses(probe, command, reply, code):
    with MailServer(refuse={command: reply}) as server:
        got = send(probe, server)
        assert got["error"] == code and reply in got["message"] and "ann@example.com" in got["message"]
        assert MAIL["text"] not in got["message"]


def test_a_server_that_is_busy(probe):
    with MailServer(greeting="421 too many connections") as server:
        assert send(probe, server)["error"] == "unavailable"


def test_a_server_that_never_greets(probe):
    with MailServer(greeting=None) as server:
        started = time.monotonic()
        assert send(probe, server, timeout_ms=400)["error"] == "deadline_exceeded"
        assert time.monotonic() - started < 2


def test_nobody_listens(probe):
    with MailServer() as server:
        pass
    got = send(probe, server)
    assert got["error"] == "unavailable" and "refused" in got["message"]


# Without a server.

def test_mails_become_files(probe, tmp_path):
    place = tmp_path / "mails"
    for number in range(3):
        assert probe.ask(**{**MAIL, "subject": f"Number {number}"}, directory=str(place)) == {}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    files = sorted(os.listdir(place))
    assert len(files) == 3 and all(name.endswith(".eml") for name in files)
    for number, name in enumerate(files):
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600
        message = read((place / name).read_bytes())
        assert message["Subject"] == f"Number {number}"
        assert contents(message)["text/html"] == MAIL["html"]


def test_a_directory_that_cannot_be(probe):
    assert probe.ask(**MAIL, directory="/proc/mails")["error"] in ("not_found", "permission_denied")


def test_no_mail_server_is_no_failure(probe):
    assert probe.ask(**MAIL) == {}
