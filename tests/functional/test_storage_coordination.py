"""What keeps jobs out of each other's way: live jobs, claims, gates and estimates, on Azurite and in memory alike."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.azurite_process import Azurite
from tests.functional.storage_adapters import Storage, a_job, a_name, on_azurite
from tests.steps import MANY, all_at_once
from video_jobs.domain.errors import Conflict
from video_jobs.domain.estimate import MOST_KEPT, Estimate, JobKind
from video_jobs.domain.gate import Closure, ClosureReason, Gate, Slot
from video_jobs.ports import Claim, LiveJob, StoredEstimate, StoredGate
from video_jobs.storage.connection import StorageServices
from video_jobs.storage.live_jobs import LIVE_TABLE

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)


# --- live jobs ---


def a_live_job(owner: str, backend: str, seconds: int = 0, *, waiting: bool = True) -> LiveJob:
    job = a_job(owner, backend, created_at=NOW + timedelta(seconds=seconds))
    return LiveJob.of(job, waiting=waiting)


def noted(storage: Storage, *backends: str) -> list[LiveJob]:
    """Those that are swept, and those that stand in line."""
    swept = [live for live in storage.live_jobs.all() if live.backend in backends]
    in_line = [live for backend in backends for live in storage.live_jobs.line(backend, 100)]
    assert not any(live.waiting for live in swept)
    return sorted([*swept, *in_line], key=lambda live: (live.backend, live.key))


def test_noting_and_removing_a_live_job_may_be_repeated(storage: Storage, owner: str, backend: str) -> None:
    live, other = a_live_job(owner, backend), a_live_job(owner, backend, 1)
    storage.live_jobs.add(other)
    for _ in range(2):
        storage.live_jobs.add(live)
        assert noted(storage, backend) == [live, other]
    for _ in range(2):
        storage.live_jobs.remove(live)
        assert noted(storage, backend) == [other]


def test_who_is_noted_again_is_in_line_or_not_as_was_said_last(
    storage: Storage, owner: str, backend: str
) -> None:
    for waiting in (True, False, True):
        live = a_live_job(owner, backend, waiting=waiting)
        live = live._replace(key="00000000000001_job_x", job_id="job_x")
        storage.live_jobs.add(live)
        assert noted(storage, backend) == [live]
        assert storage.live_jobs.line(backend, 9) == ([live] if waiting else [])


def test_live_jobs_of_all_backends_are_in_order_of_arrival_within_each(storage: Storage, owner: str) -> None:
    backends = sorted(a_name("backend") for _ in range(3))
    lives = [
        a_live_job(owner, backend, seconds, waiting=seconds % 2 == 0)
        for seconds in (5, 1, 3, -2, 4)
        for backend in reversed(backends)
    ]
    for live in lives:
        storage.live_jobs.add(live)
    in_order = sorted(lives, key=lambda live: (live.backend, live.arrived_at))
    assert noted(storage, *backends) == in_order
    swept = [live for live in in_order if not live.waiting]
    assert [live for live in storage.live_jobs.all() if live.backend in backends] == swept
    after = storage.live_jobs.all(swept[2])
    assert [live for live in after if live.backend in backends] == swept[3:]


def test_live_jobs_may_be_removed_while_they_are_listed(storage: Storage, owner: str, backend: str) -> None:
    lives = [a_live_job(owner, backend, seconds, waiting=False) for seconds in range(4)]
    for live in lives:
        storage.live_jobs.add(live)
    seen = []
    for live in storage.live_jobs.all():
        if live.backend == backend:
            storage.live_jobs.remove(live)
            seen.append(live)
    assert seen == lives
    assert noted(storage, backend) == []


def test_the_line_is_in_order_of_arrival_and_of_those_alone_who_wait_before_this_backend(
    storage: Storage, owner: str, backend: str
) -> None:
    waiting = [a_live_job(owner, backend, seconds) for seconds in range(5)]
    for live in reversed(waiting):
        storage.live_jobs.add(live)
    storage.live_jobs.add(a_live_job(owner, backend, -1, waiting=False))
    storage.live_jobs.add(a_live_job(owner, backend, 2, waiting=False))
    storage.live_jobs.add(a_live_job(owner, a_name("backend"), -1))
    assert storage.live_jobs.line(backend, 9) == waiting
    assert storage.live_jobs.line(backend, 5) == waiting
    assert storage.live_jobs.line(backend, 2) == waiting[:2]
    assert storage.live_jobs.line(a_name("backend"), 9) == []


def test_who_came_earlier_is_counted_and_no_further_than_asked(
    storage: Storage, owner: str, backend: str
) -> None:
    waiting = [a_live_job(owner, backend, seconds) for seconds in range(5)]
    for live in waiting:
        storage.live_jobs.add(live)
    storage.live_jobs.add(a_live_job(owner, backend, -1, waiting=False))
    storage.live_jobs.add(a_live_job(owner, a_name("backend"), -1))
    assert [storage.live_jobs.ahead_of(live, 9) for live in waiting] == [0, 1, 2, 3, 4]
    assert storage.live_jobs.ahead_of(waiting[4], 3) == 3
    assert storage.live_jobs.ahead_of(a_live_job(owner, backend, 60), 9) == 5  # itself not noted


def test_a_live_job_that_an_older_version_noted_does_not_wait(
    azurite: Azurite, real_services: StorageServices, owner: str, backend: str
) -> None:
    storage = on_azurite(azurite)
    job = a_job(owner, backend)
    real_services.tables.get_table_client(LIVE_TABLE).upsert_entity(
        {"PartitionKey": backend, "RowKey": job.live_key, "owner": owner, "job_id": job.id}
    )
    assert noted(storage, backend) == [LiveJob.of(job)]
    assert storage.live_jobs.line(backend, 9) == []
    later = LiveJob.of(a_job(owner, backend, created_at=job.created_at + timedelta(seconds=1)))
    assert storage.live_jobs.ahead_of(later, 9) == 0


# --- claims ---


@pytest.fixture
def ours(owner: str) -> Claim:
    return Claim("https://x.invalid/openai", a_name("task"), owner, "job_ours")


def found(storage: Storage, claim: Claim) -> Claim | None:
    return storage.claims.find(claim.base_url, claim.backend_job_id)


def test_of_many_claimers_at_once_exactly_one_holds_and_all_are_told_who(
    storage: Storage, ours: Claim
) -> None:
    claims = [ours._replace(job_id=f"job_{n}", owner=f"owner-{n}") for n in range(MANY)]
    told = all_at_once(lambda n: storage.claims.claim(claims[n]))
    assert len(set(told)) == 1
    assert told[0] in claims
    assert found(storage, ours) == told[0]


def test_a_claim_may_be_repeated(storage: Storage, ours: Claim) -> None:
    assert found(storage, ours) is None
    for _ in range(2):
        assert storage.claims.claim(ours) == ours
        assert found(storage, ours) == ours


def test_a_claim_holds_for_its_id_in_every_packing(storage: Storage, ours: Claim) -> None:
    packings = [
        b64encode(f"litellm:x;model_id:{model};video_id:{ours.backend_job_id}".encode()) for model in "ab"
    ]
    first, other = (ours._replace(backend_job_id=f"video_{packed.decode()}") for packed in packings)
    assert storage.claims.claim(first) == first
    assert storage.claims.claim(other._replace(job_id="job_other")) == first
    assert found(storage, other) == found(storage, ours) == first
    heir = other._replace(job_id=a_name("job"))
    assert storage.claims.hand_over(heir, first.job_id) == heir
    storage.claims.release(heir._replace(backend_job_id=first.backend_job_id))
    assert found(storage, first) is None


def test_a_claim_belongs_to_one_address(storage: Storage, ours: Claim) -> None:
    elsewhere = ours._replace(base_url="https://y.invalid/openai", job_id="job_other")
    assert storage.claims.claim(ours) == ours
    assert found(storage, elsewhere) is None
    assert storage.claims.claim(elsewhere) == elsewhere
    assert found(storage, ours) == ours


ODD_IDS = [
    "a/b",
    "a\\b",
    "a#b",
    "a?b=1",
    "video_a+b/c==",
    "a%2Fb",
    "",
    " ",
    "'",
    "a\nb",
    "日本",
    "\ud83c",
    "x" * 9000,
]


def test_any_text_may_be_a_backends_id_and_each_is_told_from_the_others(storage: Storage, owner: str) -> None:
    address = f"https://{owner}.invalid"
    claims = [Claim(address, text, owner, f"job_{n}") for n, text in enumerate([*ODD_IDS, "A/B", "a+b"])]
    for claim in claims:
        assert storage.claims.claim(claim) == claim
    for claim in claims:
        assert found(storage, claim) == claim
        storage.claims.release(claim)
        assert found(storage, claim) is None


def test_a_claim_is_handed_over_by_the_job_that_holds_it_and_by_no_other(
    storage: Storage, ours: Claim
) -> None:
    storage.claims.claim(ours)
    heir = ours._replace(job_id="job_heir")
    assert storage.claims.hand_over(heir, "job_wrong") == ours
    assert found(storage, ours) == ours
    for _ in range(2):
        assert storage.claims.hand_over(heir, ours.job_id) == heir
        assert found(storage, ours) == heir
    assert storage.claims.claim(ours) == heir


def test_what_a_job_has_claimed_is_found_by_the_job_until_it_is_handed_over_or_released(
    storage: Storage, ours: Claim
) -> None:
    ours = ours._replace(job_id=a_name("job"))
    assert storage.claims.of_job(ours.job_id) == []
    storage.claims.claim(ours)
    stranger = ours._replace(owner="stranger", job_id="job_stranger")
    assert storage.claims.claim(stranger) == ours
    assert storage.claims.of_job(ours.job_id) == [ours]
    assert storage.claims.of_job(stranger.job_id) == []
    heir = ours._replace(job_id=a_name("job"))
    storage.claims.hand_over(heir, ours.job_id)
    assert storage.claims.of_job(ours.job_id) == []
    assert storage.claims.of_job(heir.job_id) == [heir]
    storage.claims.release(heir)
    assert storage.claims.of_job(heir.job_id) == []


def test_a_claim_is_not_handed_over_to_another_owner(storage: Storage, ours: Claim) -> None:
    storage.claims.claim(ours)
    stranger = ours._replace(job_id="job_heir", owner="somebody-else")
    assert storage.claims.hand_over(stranger, ours.job_id) == ours
    assert found(storage, ours) == ours


def test_a_job_that_was_handed_a_claim_before_a_crash_may_hand_it_over_to_itself(
    storage: Storage, ours: Claim
) -> None:
    ours = ours._replace(job_id=a_name("job"))
    storage.claims.claim(ours)
    assert storage.claims.hand_over(ours, ours.job_id) == ours
    assert found(storage, ours) == ours
    assert storage.claims.of_job(ours.job_id) == [ours]


def test_what_nobody_has_claimed_may_be_handed_over(storage: Storage, ours: Claim) -> None:
    assert storage.claims.hand_over(ours, "job_that_let_it_go") == ours
    assert found(storage, ours) == ours


@pytest.mark.parametrize("held", [True, False])
def test_of_many_heirs_at_once_exactly_one_holds_and_all_are_told_who(
    storage: Storage, ours: Claim, held: bool
) -> None:
    if held:
        storage.claims.claim(ours)
    heirs = [ours._replace(job_id=f"job_{n}") for n in range(MANY)]
    told = all_at_once(lambda n: storage.claims.hand_over(heirs[n], ours.job_id))
    assert len(set(told)) == 1
    assert told[0] in heirs
    assert found(storage, ours) == told[0]


def test_a_claim_is_released_by_its_own_job_alone_and_may_be_again(storage: Storage, ours: Claim) -> None:
    storage.claims.release(ours)
    storage.claims.claim(ours)
    storage.claims.release(ours._replace(job_id="job_other"))
    assert found(storage, ours) == ours
    for _ in range(2):
        storage.claims.release(ours)
        assert found(storage, ours) is None
    next_one = ours._replace(job_id="job_next")
    assert storage.claims.claim(next_one) == next_one


def test_a_claim_that_is_handed_over_while_it_is_released_is_the_heirs_or_the_heir_is_told(
    storage: Storage, ours: Claim
) -> None:
    heir = ours._replace(job_id="job_heir")
    for _ in range(5):
        storage.claims.claim(ours)

        def act(number: int) -> None:
            if number % 2:
                storage.claims.release(ours)
            else:
                assert storage.claims.hand_over(heir, ours.job_id) == heir

        all_at_once(act)
        assert found(storage, ours) == heir
        storage.claims.release(heir)


# --- gates ---


def a_full_gate(backend: str, slots: int = 2) -> Gate:
    return Gate(
        backend,
        slots=tuple(
            Slot(f"job_{n:026d}", f"owner-{n}", NOW, NOW + timedelta(seconds=n) if n % 2 else None)
            for n in range(slots)
        ),
        creates=tuple(NOW + timedelta(milliseconds=n) for n in range(slots)),
        closure=Closure(
            ClosureReason.MISCONFIGURED, 'It says "no" \U0001f3ac \n', NOW + timedelta(minutes=1), times=3
        ),
        paused_since=NOW,
        contended=True,
    )


def test_a_gate_that_nobody_has_touched_is_open(storage: Storage, backend: str) -> None:
    assert storage.gates.get(backend) == StoredGate(Gate(backend), None)
    assert backend not in [gate.backend for gate in storage.gates.all()]


def test_a_gate_comes_back_as_it_was_saved(storage: Storage, backend: str) -> None:
    stored = storage.gates.get(backend)
    # 1000 is the most that the settings allow; what is empty again must not stay in the row.
    for gate in (a_full_gate(backend), Gate(backend), a_full_gate(backend, 1000), a_full_gate(backend, 1)):
        stored = storage.gates.save(stored, gate)
        assert stored.gate == gate
        assert storage.gates.get(backend) == stored


def test_all_gates_are_listed(storage: Storage) -> None:
    gates = [a_full_gate(a_name("backend"), slots) for slots in (0, 1, 400)]
    for gate in gates:
        storage.gates.save(StoredGate(Gate(gate.backend), None), gate)
    listed = storage.gates.all()
    assert [gate for gate in listed if gate in gates] == sorted(gates, key=lambda gate: gate.backend)


def test_the_second_of_two_who_change_a_gate_gets_a_conflict(storage: Storage, backend: str) -> None:
    missing = storage.gates.get(backend)
    first = storage.gates.save(missing, a_full_gate(backend))
    with pytest.raises(Conflict):
        storage.gates.save(missing, Gate(backend))
    second = storage.gates.save(first, Gate(backend, contended=True))
    with pytest.raises(Conflict):
        storage.gates.save(first, Gate(backend))
    assert storage.gates.get(backend) == second


def test_of_many_who_change_a_gate_at_once_one_wins_each_round(storage: Storage, backend: str) -> None:
    for round_number in range(4):
        stored = storage.gates.get(backend)

        def change(number: int, stored: StoredGate = stored) -> StoredGate | None:
            slot = Slot(f"job_{number}", "default", NOW)
            try:
                return storage.gates.save(stored, replace(stored.gate, slots=(*stored.gate.slots, slot)))
            except Conflict:
                return None

        [won] = [saved for saved in all_at_once(change) if saved is not None]
        assert storage.gates.get(backend) == won
        assert len(won.gate.slots) == round_number + 1


def test_gates_of_different_backends_do_not_disturb_each_other(storage: Storage) -> None:
    backends = [a_name("backend") for _ in range(MANY)]
    stored = [storage.gates.get(backend) for backend in backends]
    saved = all_at_once(lambda n: storage.gates.save(stored[n], a_full_gate(backends[n], n)))
    assert [storage.gates.get(backend) for backend in backends] == saved


# --- estimates ---


def a_kind(backend: str, **changes: Any) -> JobKind:
    return JobKind(backend, "wan/2.2#fast?", "1280x720", 5)._replace(**changes)


def an_estimate(kind: JobKind, count: int = 3) -> Estimate:
    return Estimate(kind, tuple(60.5 + number for number in range(count)), count + 100)


def test_of_a_kind_that_was_never_timed_nothing_is_known(storage: Storage, backend: str) -> None:
    kind = a_kind(backend)
    assert storage.estimates.get(kind) == StoredEstimate(Estimate(kind), None)
    assert storage.estimates.of_backend(backend, 9) == []


def test_an_estimate_comes_back_as_it_was_saved(storage: Storage, backend: str) -> None:
    stored = storage.estimates.get(a_kind(backend))
    for count in (1, MOST_KEPT, 2):
        estimate = an_estimate(a_kind(backend), count)
        stored = storage.estimates.save(stored, estimate)
        assert stored.estimate == estimate
        assert storage.estimates.get(a_kind(backend)) == stored


def test_kinds_are_told_apart_by_backend_model_size_and_seconds(storage: Storage, backend: str) -> None:
    kind = a_kind(backend)
    others = [
        a_kind(a_name("backend")),
        a_kind(backend, model="wan/2.2"),
        a_kind(backend, size="720x1280"),
        a_kind(backend, seconds=6),
    ]
    storage.estimates.save(StoredEstimate(Estimate(kind), None), an_estimate(kind))
    assert [storage.estimates.get(other).etag for other in others] == [None] * 4


def test_all_kinds_of_a_backend_are_listed_up_to_so_many(storage: Storage, backend: str) -> None:
    kinds = [a_kind(name, seconds=n) for name in (backend, a_name("backend")) for n in (1, 2, 3)]
    for kind in kinds:
        storage.estimates.save(StoredEstimate(Estimate(kind), None), an_estimate(kind))
    listed = storage.estimates.of_backend(backend, 9)
    assert sorted(one.kind.seconds for one in listed) == [1, 2, 3]
    assert all(one == an_estimate(one.kind) for one in listed)
    assert len(storage.estimates.of_backend(backend, 2)) == 2


def test_the_second_of_two_who_change_an_estimate_gets_a_conflict(storage: Storage, backend: str) -> None:
    kind = a_kind(backend)
    missing = storage.estimates.get(kind)
    first = storage.estimates.save(missing, an_estimate(kind))
    with pytest.raises(Conflict):
        storage.estimates.save(missing, an_estimate(kind, 1))
    second = storage.estimates.save(first, an_estimate(kind, 2))
    with pytest.raises(Conflict):
        storage.estimates.save(first, an_estimate(kind, 1))
    assert storage.estimates.get(kind) == second
