"""Who gets an association, and in which transfer syntaxes. Every refusal has a sentence in the log: "nothing happened" is no answer."""

from dataclasses import dataclass

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext

from service.options import quoted
from service.pacs.incoming.syntaxes import STORED
from service.pacs.site import Receive

NO_SYNTAX = 4
"""PS3.8 table 9-18: the transfer syntaxes of a context are not supported."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Rejection:
    """PS3.8 table 9-21: an A-ASSOCIATE-RJ, and why, for the log."""

    result: int
    source: int
    reason: int
    sentence: str


UNDECIDED = Rejection(2, 1, 1, "It could not be told whether this sender may come in.")


def rejection(request: A_ASSOCIATE, receive: Receive, num_associations: int) -> Rejection | None:
    """None: it may come in. `num_associations`: with this one."""
    calling, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
    if not receive.may_send(calling):
        hint = f"add {quoted(calling)} to calling_ae_titles under [receive] if it may send; upper and lower case differ"
        return Rejection(1, 1, 3, f"The AE title {quoted(calling)} may not send here: {hint}.")
    if called != receive.ae_title:
        hint = f"its destination must be called {quoted(receive.ae_title)}"
        return Rejection(1, 1, 7, f"{quoted(calling)} called for {quoted(called)}, which is not the name of this listener: {hint}.")
    if num_associations > receive.max_associations:
        hint = "max_associations under [receive] sets the limit"
        return Rejection(2, 3, 2, f"{quoted(calling)} was put off: {receive.max_associations} associations are open already; {hint}.")
    return None


def prefer_the_senders_order(association: Association, request: A_ASSOCIATE) -> None:
    """Leave of each proposed context the first transfer syntax that we take: pynetdicom would choose by our order.

    The sender's first is mostly the one it holds the object in; any other makes it decode, and perhaps compress with loss.
    """
    ours = {context.abstract_syntax: context.transfer_syntax for context in association.acceptor.supported_contexts}
    for context in request.presentation_context_definition_list:
        taken = ours.get(context.abstract_syntax, [])
        first = next((syntax for syntax in context.transfer_syntax if syntax in taken), None)
        if first is not None:
            context.transfer_syntax = [first]


def unserved(association: Association) -> str | None:
    """Which of the proposals somebody will miss, for the log: of what we store, or all when none was taken. Senders propose 120 at once."""
    taken = {context.abstract_syntax for context in association.accepted_contexts}
    rejected = {_name(context): context.abstract_syntax for context in association.rejected_contexts}
    missed = [name for name, uid in rejected.items() if not taken or (uid in STORED and uid not in taken)]
    more = f" and {len(missed) - SHOWN} more" if len(missed) > SHOWN else ""
    return f"{', '.join(missed[:SHOWN])}{more}" if missed else None


def _name(context: PresentationContext) -> str:
    name = "?" if context.abstract_syntax is None else str(context.abstract_syntax.name)
    return f"{quoted(name)} in {quoted(context.transfer_syntax[0].name)}" if context.result == NO_SYNTAX else quoted(name)
