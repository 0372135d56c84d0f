"""The use case of notices: receive one."""

from collections.abc import Mapping
from dataclasses import replace

from boxoffice.batching import GroupCommit
from boxoffice.errors import NotFound, NoticeRefused, Overloaded
from boxoffice.observability.logs import log
from boxoffice.payments.notices import rules
from boxoffice.payments.notices.handlers import NoticeHandler
from boxoffice.payments.notices.metrics import NOTICES_RECEIVED
from boxoffice.payments.notices.store import NoticeCommand, NoticeStore
from boxoffice.payments.providers.port import NoticeForged, Provider, ProviderNotice

_RETRY_AFTER_S = 5


class Notices:
    """Keeps the notices of providers, at most `waiting_max` at once.

    They share batches with the sale, so a storm of them may take no more than its share.
    """

    def __init__(
        self,
        notices: NoticeStore,
        group_commit: GroupCommit,
        providers: Mapping[str, Provider],
        waiting_max: int,
    ) -> None:
        self._handler = NoticeHandler(notices)
        self._group_commit = group_commit
        self._providers = providers
        self._waiting_max = waiting_max
        self._waiting = 0

    async def receive(self, provider_name: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep a notice; return whether it is new, after its transaction is committed.

        Raises `NotFound` for a provider without keys, `NoticeRefused` for a notice that the provider
        did not send or sent too long ago, and `Unavailable`: the provider then sends it again. A notice
        for another shop is not kept.
        """
        provider = self._providers.get(provider_name)
        if provider is None:
            raise NotFound
        try:
            notice = provider.read_notice(headers, body)
        except NoticeForged as error:
            _count(provider_name, "refused")
            log.warning("notice_refused", provider=provider_name, reason=str(error))
            raise NoticeRefused from error
        # guard: notice_of_another_shop_is_not_kept => if False:
        if not rules.is_ours(notice):
            _count(provider_name, "foreign")
            return False
        is_new = await self._keep(NoticeCommand(provider_name, _kept(notice, body), body))
        _count(provider_name, "new" if is_new else "repeated")
        return is_new

    async def _keep(self, command: NoticeCommand) -> bool:
        # guard: notices_that_wait_are_bounded => if False:
        if self._waiting >= self._waiting_max:
            _count(command.provider, "overloaded")
            raise Overloaded(retry_after_s=_RETRY_AFTER_S)
        self._waiting += 1
        try:
            return await self._group_commit.submit(self._handler, None, command)
        finally:
            self._waiting -= 1


def _kept(notice: ProviderNotice, body: bytes) -> ProviderNotice:
    """Return a notice with texts that can be kept; what is no key would not be found."""
    return replace(
        notice,
        notice_id=rules.notice_id_of(notice, body),
        kind=rules.kind_of(notice),
        payment_key=rules.key_of(notice.payment_key),
        dispute_key=rules.key_of(notice.dispute_key),
        secret=rules.key_of(notice.secret),
    )


def _count(provider: str, outcome: str) -> None:
    NOTICES_RECEIVED.labels(provider, outcome).inc()
