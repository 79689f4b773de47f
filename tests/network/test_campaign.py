"""Three organisations, a process each, all sending at once while they are stopped, killed and cut off; one joins late.

The short form runs with all tests. `FFD_TESTS_LONG=1 python -m pytest tests/network/test_campaign.py` is the long one;
`FFD_SEED=17` before it makes it the campaign of that seed.
"""

from __future__ import annotations

import logging
import os

from tests.network.campaign import Campaign
from tests.network.history import faults
from tests.network.plan import DEADLY, EVERYBODY, GROUPS, JOINER, NAMES, Kind, make_plan
from tests.processes.node import House

log = logging.getLogger(__name__)

LONG = bool(os.environ.get("FFD_TESTS_LONG"))
EACH, TROUBLES = (2_000, 80) if LONG else (100, 10)


def test_all_members_have_one_order_whatever_goes_wrong(house: House, seed: int) -> None:
    plan = make_plan(seed, each=EACH, troubles=TROUBLES)
    log.info("%s", plan)
    campaign = Campaign(house, plan)
    history = campaign.run()
    assert [str(fault) for fault in faults(history)] == []
    assert {member.name for member in history.members} == {*NAMES, JOINER}
    for member in history.members:
        wanted = {letter.value for letter in plan.letters if not letter.group or member.name in GROUPS[letter.group]}
        assert {told.value for told in member.table} == wanted, member.name
    kinds = {trouble.kind for trouble in plan.troubles}
    begun = sum(len(member.lives) for member in campaign.network.members.values()) - len(GROUPS[EVERYBODY])
    assert kinds == set(Kind) and begun == sum(trouble.kind in DEADLY for trouble in plan.troubles)
    assert {told.line.group for member in history.members for told in member.table} == {"", *GROUPS}
