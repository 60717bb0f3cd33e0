"""Notifications, put together."""

from __future__ import annotations

import logging
from functools import partial

from fastapi import FastAPI

from libs.common.clock import Clock, utc_now
from libs.common.jobs import Job
from libs.common.service import ALL_DOORS, Door, Service
from libs.integrations.breaker import Breaker
from libs.integrations.slack import Slack
from libs.integrations.smsmode import Smsmode
from libs.integrations.smtp import Smtp
from libs.integrations.tinyurl import TinyUrl
from services.notifications import handlers, jobs, routes
from services.notifications.settings import NotificationsSettings

log = logging.getLogger("relance.notifications")

# Retries and digests come due without an insert that would wake the job.
LOOK_SECONDS = 1.0
# What is past its keeping time may wait so long more.
FORGET_SECONDS = 60.0
TINYURL_FAILURES = 3
TINYURL_REST_SECONDS = 30.0


def create_app(
    settings: NotificationsSettings, *, doors: frozenset[Door] = ALL_DOORS, clock: Clock = utc_now
) -> FastAPI:
    """Raises MisconfiguredError when a claim's lease is shorter than a send may take."""
    settings.check_lease()
    if settings.app_env == "prod" and settings.notifications_public_url is None:
        log.warning("NOTIFICATIONS_PUBLIC_URL is not set: marketing mails offer no one-click unsubscribe")
    service = Service("notifications", settings, clock=clock, doors=doors)
    database = service.database
    smtp = Smtp(
        settings.mailer_dsn.get_secret_value(),
        size=settings.smtp_connections,
        timeout_seconds=settings.smtp_timeout_seconds,
    )
    smsmode = _smsmode(settings)
    sendings = [
        jobs.Sending(database, jobs.MailCarrier(smtp, settings), settings),
        jobs.Sending(database, jobs.SmsCarrier(smsmode, settings), settings),
    ]
    slack = slack_of(settings)
    tinyurl = tinyurl_of(settings)
    digesting = jobs.Digesting(database, settings)
    look_seconds = min(LOOK_SECONDS, settings.poll_seconds)
    asking = jobs.Asking(database, smsmode, first_seconds=settings.settle_after_seconds)
    return service.app(
        handlers=handlers.router,
        jobs=[
            *(
                Job(sending.name, sending.send_due, look_seconds, wake_on="deliveries")
                for sending in sendings
            ),
            Job("expire_claims", partial(jobs.expire_claims, database), settings.poll_seconds),
            Job(
                "work_provider_events",
                partial(jobs.work_provider_events, database),
                settings.poll_seconds,
                wake_on="provider_events",
            ),
            *(
                [Job("ask_about_unknown", asking.ask_about_unknown, settings.poll_seconds)]
                if settings.sms_mode_key
                else []
            ),
            Job("forget_old", partial(jobs.forget_old, database, settings.keep), FORGET_SECONDS),
            Job("make_digest", digesting.make_digest, look_seconds),
            *posting_jobs(service, slack, settings),
            *shortening_jobs(service, tinyurl, settings),
        ],
        routes=routes.create_routers(database, settings, tinyurl),
        closers=[
            *(sending.finish for sending in sendings),
            smtp.close,
            smsmode.close,
            *(each.close for each in (slack, tinyurl) if each),
        ],
    )


def _smsmode(settings: NotificationsSettings) -> Smsmode:
    """Without a key it is asked for nothing: every SMS is suppressed before."""
    key, callback_url = settings.sms_mode_key, settings.smsmode_callback_url
    return Smsmode(
        key.get_secret_value() if key else "",
        api_base=settings.smsmode_api_base,
        timeout_seconds=settings.sms_timeout_seconds,
        requests_per_second=settings.sms_requests_per_second,
        status_url=callback_url,
        reply_url=callback_url,
    )


def slack_of(settings: NotificationsSettings) -> Slack | None:
    """None where nothing may go there."""
    if settings.slack_webhook_url is None or settings.why_not_slack is not None:
        log.info("nothing is told on Slack: %s", settings.why_not_slack)
        return None
    return Slack(
        settings.slack_webhook_url.get_secret_value(), timeout_seconds=settings.slack_timeout_seconds
    )


def posting_jobs(service: Service, slack: Slack | None, settings: NotificationsSettings) -> list[Job]:
    if slack is None:
        return []
    posting = jobs.Posting(service.database, slack, settings)
    look_seconds = min(LOOK_SECONDS, settings.poll_seconds)
    return [Job("post_digests", posting.post_digests, look_seconds, wake_on="team_digests")]


def tinyurl_of(settings: NotificationsSettings) -> TinyUrl | None:
    """None where links stay long."""
    if settings.tinyurl_token is None:
        return None
    return TinyUrl(
        settings.tinyurl_api_base,
        settings.tinyurl_token.get_secret_value(),
        domain=settings.tinyurl_domain,
        timeout_seconds=settings.tinyurl_timeout_seconds,
        breaker=Breaker(failures=TINYURL_FAILURES, rest_seconds=TINYURL_REST_SECONDS),
    )


def shortening_jobs(service: Service, tinyurl: TinyUrl | None, settings: NotificationsSettings) -> list[Job]:
    if tinyurl is None:
        return []
    shortening = jobs.Shortening(service.database, tinyurl, settings)
    return [Job("shorten_links", shortening.shorten_links, settings.poll_seconds, wake_on="short_links")]
