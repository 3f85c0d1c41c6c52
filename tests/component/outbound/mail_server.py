"""A mail server on loopback that keeps what it gets, speaks TLS in both ways, and refuses what a test says."""

import base64

from servers import Server


class MailServer(Server):
    """`refuse` maps a command ("RCPT", "MAIL", "DATA", "." for the end of the mail, "EHLO") to the line that answers it.
    `greeting` None: it never says anything. Each session is a dictionary: tls, user, sender, recipient, data."""

    def __init__(self, tls=None, starttls=None, users=None, refuse=None, greeting="220 test ESMTP", **options):
        self.starttls = starttls
        self.users = users
        self.refuse = refuse or {}
        self.greeting = greeting
        self.sessions = []
        self.lines = []  # all commands
        super().__init__(self._talk, tls=tls, **options)

    def _talk(self, connection, _):
        if self.greeting is None:
            self.over.wait(10)
            return
        session = {"tls": self.tls is not None, "user": None}
        self.sessions.append(session)
        stream = connection.makefile("rb")

        def say(*lines):
            for number, line in enumerate(lines, 1):
                line = line if number == len(lines) else line[:3] + "-" + line[4:]
                connection.sendall(line.encode() + b"\r\n")

        say(self.greeting)
        while (raw := stream.readline()):
            assert raw.endswith(b"\r\n"), raw
            line = raw[:-2].decode()
            self.lines.append(line)
            command = line.split(" ")[0].split(":")[0].upper()
            if command in self.refuse:
                say(self.refuse[command])
            elif command == "EHLO":
                offers = ["250 test", "250 SIZE 10000000"]
                if self.starttls and not session["tls"]:
                    offers.append("250 STARTTLS")
                if self.users is not None:
                    offers.append("250 AUTH LOGIN PLAIN")
                say(*offers)
            elif command == "STARTTLS":
                say("220 go on")
                connection = self.starttls.wrap_socket(connection, server_side=True)
                stream = connection.makefile("rb")
                session["tls"] = True
            elif command == "AUTH":
                mechanism, *initial = line.split(" ")[1:]
                assert mechanism == "PLAIN"
                if not initial:
                    say("334 ")
                    initial = [stream.readline().decode().strip()]
                _, user, password = base64.b64decode(initial[0]).decode().split("\0")
                if self.users.get(user) == password:
                    session["user"] = user
                    say("235 welcome")
                else:
                    say("535 5.7.8 wrong user name or password")
            elif command == "MAIL":
                session["sender"] = line.split(":", 1)[1].split(" ")[0]
                say("250 ok")
            elif command == "RCPT":
                session["recipient"] = line.split(":", 1)[1]
                say("250 ok")
            elif command == "DATA":
                say("354 go on")
                data = b""
                while (piece := stream.readline()) != b".\r\n":
                    assert piece, "the mail has no end"
                    data += piece[1:] if piece.startswith(b".") else piece
                if "." in self.refuse:
                    say(self.refuse["."])
                else:
                    session["data"] = data
                    say("250 taken")
            elif command == "QUIT":
                say("221 bye")
                return
            else:
                say("500 what?")
