"""People who use a control plane: they sign up by mail, sign in, and ask with their session."""
import email
import email.policy
import glob
import itertools
import os
import re
import time

PASSWORD = "correct horse"
numbers = itertools.count(1)


class Mails:
    """What the control plane has sent, out of the directory of --mail-dir."""

    def __init__(self, plane):
        self.directory = os.path.join(plane.dir, "mails")

    def to(self, address):
        found = []
        for path in sorted(glob.glob(os.path.join(self.directory, "*.eml"))):
            with open(path, "rb") as file:
                mail = email.message_from_binary_file(file, policy=email.policy.default)
            if address in mail["To"]:
                found.append(mail)
        return found

    def count(self, address, subject):
        return len([one for one in self.to(address) if one["Subject"] == subject])

    def wait_for(self, address, subject, seconds=10, after=0):
        """The newest one, of more than `after`."""
        deadline = time.monotonic() + seconds
        while True:
            fitting = [one for one in self.to(address) if one["Subject"] == subject]
            if len(fitting) > after:
                return fitting[-1]
            assert time.monotonic() < deadline, f"no mail \"{subject}\" to {address}"
            time.sleep(0.02)

    def token(self, address, subject, after=0):
        text = self.wait_for(address, subject, after=after).get_body(("plain",)).get_content()
        return re.search(r"token=([0-9a-f]{32})", text).group(1)


class Person:
    def __init__(self, plane, auth):
        self.plane = plane
        self.token, self.id, self.team = auth["token"], auth["user_id"], auth["team_id"]
        self.email, self.name = auth["email"], auth["name"]

    def request(self, method, path, body=None, headers=None, **more):
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        return self.plane.request(method, path, body, headers=headers, key=None, **more)

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.request("PATCH", path, body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)

    def delete(self, path, body=None, **more):
        return self.request("DELETE", path, body, **more)

    def switch(self, team):
        answer = self.post("/v1/auth/switch-team", {"team_id": team})
        assert answer.status == 200, answer.body
        self.team = team

    def new_key(self, name="k"):
        answer = self.post("/v1/api-keys", {"name": name})
        assert answer.status == 201, answer.body
        return answer.json


def new_address():
    return f"person{next(numbers)}@example.com"


def sign_up(plane, address=None, name="Alice"):
    """A person with an active account of his own."""
    address, subject = address or new_address(), "Activate your Wrenn account"
    before = Mails(plane).count(address, subject)
    answer = plane.post("/v1/auth/signup", {"email": address, "password": PASSWORD, "name": name}, key=None)
    assert answer.status == 201, answer.body
    token = Mails(plane).token(address, subject, after=before)
    answer = plane.post("/v1/auth/activate", {"token": token}, key=None)
    assert answer.status == 200, answer.body
    return Person(plane, answer.json)


def log_in(plane, address, password=PASSWORD):
    answer = plane.post("/v1/auth/login", {"email": address, "password": password}, key=None)
    assert answer.status == 200, answer.body
    return Person(plane, answer.json)
