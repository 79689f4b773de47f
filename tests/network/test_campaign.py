"""Three organisations, a process each, all sending at once while they are stopped, killed and cut off; one joins late.

The short form runs with all tests. `FFD_TESTS_LONG=1 python -m pytest tests/network/test_campaign.py` is the long one;
`FFD_SEED=17` before it makes it the campaign of that seed.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from tests.network.campaign import Campaign
from tests.network.history import faults
from tests.network.plan import JOINER, NAMES, make_plan
from tests.processes.node import House

log = logging.getLogger(__name__)

LONG = bool(os.environ.get("FFD_TESTS_LONG"))
EACH, TROUBLES = (2_000, 80) if LONG else (150, 9)


def test_all_members_have_one_order_whatever_goes_wrong(house: House, seed: int, tmp_path: Path) -> None:
    plan = make_plan(seed, each=EACH, troubles=TROUBLES)
    log.info("%s", plan)
    history = Campaign(house, plan).run()
    assert [str(fault) for fault in faults(history)] == []
    assert {member.name for member in history.members} == {*NAMES, JOINER}
    for member in history.members:
        assert {told.value for told in member.table} == {letter.value for letter in plan.letters}, member.name
