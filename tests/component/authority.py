"""Certificates for tests."""
import os
import ssl
import subprocess

SECONDS = 10  # that openssl may take


class Authority:
    """A certificate authority of its own, and a certificate of it for localhost."""

    def __init__(self, folder, names="DNS:localhost,IP:127.0.0.1", days=2):
        self.folder = folder
        self.file = self._path("ca.pem")
        self._openssl("req", "-x509", "-subj", "/CN=Test authority", "-days", "2", "-keyout", self._path("ca.key"), "-out", self.file,
                      "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self._openssl("req", "-subj", "/CN=server", "-keyout", self._path("server.key"), "-out", self._path("server.csr"),
                      "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        with open(self._path("names"), "w", encoding="ascii") as names_file:
            names_file.write(f"subjectAltName={names}\n")
        self._openssl("x509", "-req", "-in", self._path("server.csr"), "-CA", self.file, "-CAkey", self._path("ca.key"),
                      "-CAcreateserial", "-days", str(days), "-extfile", self._path("names"), "-out", self._path("server.pem"))
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self._path("server.pem"), self._path("server.key"))

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=SECONDS)
