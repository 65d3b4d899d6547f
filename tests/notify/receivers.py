"""Real receivers for alerts: an HTTP server that a webhook posts to, and SMTP servers."""

import ssl
import subprocess
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes
from email.policy import default

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.leaks import MAIL_PASSWORD, WEBHOOK_PATH

PATH = WEBHOOK_PATH
USER, PASSWORD = "ann", MAIL_PASSWORD


class WebhookReceiver:
    """Keeps what is posted to it. *statuses*: what it answers next; when they are used up, 200."""

    def __init__(self):
        self.posted, self.statuses, self.url = [], [], None

    async def _post(self, request):
        self.posted.append(await request.json())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def texts(self):
        return [document["text"] for document in self.posted]

    @classmethod
    @asynccontextmanager
    async def open(cls):
        receiver, app = cls(), web.Application()
        app.router.add_post(PATH, receiver._post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
        try:
            yield receiver
        finally:
            await runner.cleanup()


class MailReceiver:
    """Keeps the mails it takes. *answers*: what it says to the next ones; when they are used up, 250."""

    def __init__(self):
        self.mails, self.answers, self.logins, self.port = [], [], [], None

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.pop(0)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"

    def check(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login.decode(), data.password.decode()))
        # Not handled: the refusal is the server's to send.
        return AuthResult(success=self.logins[-1] == (USER, PASSWORD), handled=False)

    @classmethod
    @contextmanager
    def open(cls, security="none", certificate=None):
        receiver = cls()
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        controller = _OnAnyPort(
            receiver,
            hostname="127.0.0.1",
            port=0,
            ssl_context=context if security == "ssl" else None,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            auth_required=security != "none",
            auth_require_tls=security == "starttls",
            authenticator=receiver.check,
        )
        controller.start()
        receiver.port = controller.server.sockets[0].getsockname()[1]
        try:
            yield receiver
        finally:
            controller.stop()


class _OnAnyPort(Controller):
    """It connects to itself to see whether it serves, and needs to know where for that."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


def self_signed(folder):
    """A certificate for 127.0.0.1 with its key, in one PEM file."""
    path = folder / "server.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1,DNS:localhost"
    made = folder / "cert.pem", folder / "key.pem"
    subprocess.run([*command.split(), "-out", made[0], "-keyout", made[1]], check=True, capture_output=True)
    path.write_text(made[0].read_text() + made[1].read_text())
    return path
