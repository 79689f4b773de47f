"""Events: what apps hear, one per message and topic, in one local sequence (FireFly reference 1.4, 3.5)."""

import msgspec

from ffd.model.canonical import json_string
from ffd.model.times import time_json

TRANSACTION_SUBMITTED = "transaction_submitted"
MESSAGE_CONFIRMED = "message_confirmed"
MESSAGE_REJECTED = "message_rejected"
DATATYPE_CONFIRMED = "datatype_confirmed"
IDENTITY_CONFIRMED = "identity_confirmed"
IDENTITY_UPDATED = "identity_updated"
TOKEN_POOL_CONFIRMED = "token_pool_confirmed"  # noqa: S105 - a word of FireFly's
TOKEN_POOL_OP_FAILED = "token_pool_op_failed"  # noqa: S105
TOKEN_TRANSFER_CONFIRMED = "token_transfer_confirmed"  # noqa: S105
TOKEN_TRANSFER_OP_FAILED = "token_transfer_op_failed"  # noqa: S105
TOKEN_APPROVAL_CONFIRMED = "token_approval_confirmed"  # noqa: S105
TOKEN_APPROVAL_OP_FAILED = "token_approval_op_failed"  # noqa: S105
CONTRACT_INTERFACE_CONFIRMED = "contract_interface_confirmed"
CONTRACT_API_CONFIRMED = "contract_api_confirmed"
BLOCKCHAIN_EVENT_RECEIVED = "blockchain_event_received"
BLOCKCHAIN_INVOKE_OP_SUCCEEDED = "blockchain_invoke_op_succeeded"
BLOCKCHAIN_INVOKE_OP_FAILED = "blockchain_invoke_op_failed"
BLOCKCHAIN_CONTRACT_DEPLOY_OP_SUCCEEDED = "blockchain_contract_deploy_op_succeeded"
BLOCKCHAIN_CONTRACT_DEPLOY_OP_FAILED = "blockchain_contract_deploy_op_failed"

EVENT_TYPES = (
    TRANSACTION_SUBMITTED,
    MESSAGE_CONFIRMED,
    MESSAGE_REJECTED,
    DATATYPE_CONFIRMED,
    IDENTITY_CONFIRMED,
    IDENTITY_UPDATED,
    TOKEN_POOL_CONFIRMED,
    TOKEN_POOL_OP_FAILED,
    TOKEN_TRANSFER_CONFIRMED,
    TOKEN_TRANSFER_OP_FAILED,
    TOKEN_APPROVAL_CONFIRMED,
    TOKEN_APPROVAL_OP_FAILED,
    CONTRACT_INTERFACE_CONFIRMED,
    CONTRACT_API_CONFIRMED,
    BLOCKCHAIN_EVENT_RECEIVED,
    BLOCKCHAIN_INVOKE_OP_SUCCEEDED,
    BLOCKCHAIN_INVOKE_OP_FAILED,
    BLOCKCHAIN_CONTRACT_DEPLOY_OP_SUCCEEDED,
    BLOCKCHAIN_CONTRACT_DEPLOY_OP_FAILED,
)
"""Every type of event; a new one goes at the end, since a store may keep the place instead of the word."""
MESSAGE_EVENT_TYPES = frozenset({MESSAGE_CONFIRMED, MESSAGE_REJECTED})
"""The types whose reference is a message."""

TOPIC_BATCH_PIN = "ff_batch_pin"
"""The topic of ledger events that pin batches."""
TOPIC_DEFINITION = "ff_definition"
"""The topic of what definitions define: identities and datatypes."""


class Event(msgspec.Struct, frozen=True):
    """One event. Ids are UUID texts, `created` nanoseconds; `correlator`, `tx` and `topic` are empty when absent.

    `sequence` is its place in the node's events, `namespace` the local one, `reference` the id of what it speaks of.
    """

    sequence: int
    id: str
    type: str
    namespace: str
    reference: str
    correlator: str
    tx: str
    topic: str
    created: int


def event_json(event: Event) -> str:
    """The JSON of an event."""
    return f"{{{event_fields(event)}}}"


def event_fields(event: Event) -> str:
    """The fields of an event's JSON without the braces, for a delivery to add what it speaks of and to whom it goes."""
    e = event
    correlator = f',"correlator":"{e.correlator}"' if e.correlator else ""
    tx = f',"tx":"{e.tx}"' if e.tx else ""
    topic = f',"topic":{json_string(e.topic)}' if e.topic else ""
    return (
        f'"id":"{e.id}","sequence":{e.sequence},"type":"{e.type}","namespace":{json_string(e.namespace)}'
        f',"reference":"{e.reference}"{correlator}{tx}{topic},"created":{time_json(e.created)}'
    )
