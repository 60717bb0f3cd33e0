"""From nothing to ready: what does not wait for each other starts at once."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from http import HTTPStatus

import httpx

from libs.devstack.errors import DevstackFailure
from libs.devstack.stack import recipes, scenario
from libs.devstack.stack.account import Account
from libs.devstack.stack.environment import ADMIN_PASSWORD, SERVICES, common_settings
from libs.devstack.stack.parts import Command
from libs.devstack.stack.plan import DEVELOPMENT_LOGIN, HOST, Plan
from libs.devstack.stack.progress import Progress
from libs.devstack.stack.supervisor import Supervisor

READY_SECONDS = 90.0
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 2.0


class Rising:
    """Starts a plan's parts under a supervisor. Raises DevstackFailure, MisconfiguredError or Stopping."""

    def __init__(self, plan: Plan, supervisor: Supervisor, progress: Progress) -> None:
        self._plan = plan
        self._supervisor = supervisor
        self._progress = progress
        self._database_url = plan.environment.get("DATABASE_URL", "")
        # One for all: making a client costs more than asking. Proxies are not for this machine's own servers.
        self._http = httpx.Client(timeout=ANSWER_SECONDS, trust_env=False, verify=False)  # noqa: S501

    def rise(self) -> Account:
        grounds = {
            "kafka": self._start_kafka,
            "postgres": self._start_postgres,
            "mails": self._start_mail_catcher,
            "stripe": self._start_stripe,
            "platform": self._start_platform,
            "sms": self._start_sms_provider,
            "slack": self._start_slack,
            "tinyurl": self._start_tinyurl,
        }
        self._at_once([start for name, start in grounds.items() if self._plan.starts(name)])
        self._at_once([self._create_topics, self._migrate])
        starts = [self._service_starter(service) for service in SERVICES]
        if self._plan.has_development_login:
            starts.append(self._make_development_login)
        self._at_once(starts)
        story = scenario.play(self._plan, self._database_url, self._progress, self._supervisor.check)
        return Account(self._plan, story)

    def _at_once(self, starts: list[Callable[[], None]]) -> None:
        """Returns when all are done; the first that fails ends what the others wait for."""
        with ThreadPoolExecutor(max(1, len(starts))) as threads:
            jobs = [threads.submit(start) for start in starts]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:
                self._supervisor.ask_to_stop()
                raise

    def _start_kafka(self) -> None:
        server = recipes.kafka_server(self._plan, self._teller("Kafka"))
        with self._progress.step("Kafka", server.bootstrap_servers):
            self._supervisor.start(recipes.kafka(server))

    def _start_postgres(self) -> None:
        server = recipes.postgres_server(self._plan, self._teller("PostgreSQL"))
        with self._progress.step("PostgreSQL", f"{HOST}:{server.port}"):
            self._supervisor.start(recipes.postgres(server))
        self._database_url = server.url

    def _teller(self, what: str) -> Callable[[str], None]:
        def tell(text: str) -> None:
            self._supervisor.check()
            self._progress.detail(what, text)

        return tell

    def _start_mail_catcher(self) -> None:
        self._start_command(recipes.mail_catcher(self._plan), self._plan.url_of("mails"))

    def _start_stripe(self) -> None:
        self._start_command(recipes.stripe_simulator(self._plan), self._plan.url_of("stripe"))

    def _start_platform(self) -> None:
        self._start_command(recipes.phone_platform(self._plan), self._plan.url_of("platform"))

    def _start_sms_provider(self) -> None:
        self._start_command(recipes.sms_provider(self._plan), self._plan.url_of("sms"))

    def _start_slack(self) -> None:
        self._start_command(recipes.slack_channel(self._plan), self._plan.url_of("slack"))

    def _start_tinyurl(self) -> None:
        self._start_command(recipes.tinyurl_shortener(self._plan), self._plan.url_of("tinyurl"))

    def _create_topics(self) -> None:
        # Imported here, while nothing waits: it takes a second, and the first line must come at once.
        from libs.common.topics import create_topics  # noqa: PLC0415

        with self._progress.step("Topics Kafka"):
            asyncio.run(create_topics(common_settings(self._plan.environment)))

    def _migrate(self) -> None:
        from libs.common.migrations import migrate  # noqa: PLC0415

        settings = common_settings({**self._plan.environment, "DATABASE_URL": self._database_url})
        with self._progress.step("Migrations", ", ".join(SERVICES)):
            for service in SERVICES:
                self._supervisor.check()
                asyncio.run(migrate(service, settings))

    def _make_development_login(self) -> None:
        words = ("create", DEVELOPMENT_LOGIN, "--name", "Développement", "--if-missing", "--password-stdin")
        command, environment = recipes.admin_command(self._plan, self._database_url, *words)
        done = subprocess.run(  # noqa: S603 - our own command
            command,
            env=environment,
            cwd=self._plan.folder.path,
            input=self._plan.environment[ADMIN_PASSWORD],
            text=True,
            capture_output=True,
            timeout=READY_SECONDS,
            check=False,
        )
        if done.returncode:
            raise DevstackFailure(f"Le compte de développement n'a pu être créé : {done.stderr[-500:]}")

    def _service_starter(self, service: str) -> Callable[[], None]:
        def start() -> None:
            part = recipes.service(self._plan, service, self._database_url)
            self._start_command(part, self._plan.url_of(service), "/readyz")

        return start

    def _start_command(self, part: Command, url: str, path: str = "/") -> None:
        with self._progress.step(part.label, url):
            self._supervisor.start(part)
            self._wait_until_ready(part, url + path)

    def _wait_until_ready(self, part: Command, url: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while (answer := self._ask(url)) is not None:
            self._supervisor.check()
            if self._supervisor.has_given_up(part):
                raise DevstackFailure(f"{part.label} ne démarre pas (voir ci-dessus).")
            if time.monotonic() > deadline:
                raise DevstackFailure(
                    f"{part.label} n'est pas prêt après {READY_SECONDS:.0f} s : {answer}. "
                    f"Journal : {part.log_path}. Ses dernières lignes :\n{part.tail()}"
                )
            time.sleep(LOOK_SECONDS)

    def _ask(self, url: str) -> str | None:
        """None when it is ready, else why not."""
        try:
            response = self._http.get(url)
        except httpx.HTTPError as error:
            return f"{url} ne répond pas ({error})"
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return None
        return response.text[:500]
