"""What errors say inside ComfyUI: what happened, what it means for money, and what to do there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flux_nodes.comfy.guidance import Run, guided
from flux_nodes.core.errors import (
    BudgetReached,
    ConnectionRejected,
    Fault,
    FluxNodesError,
    GenerationFailed,
    ImageUnavailable,
    InvalidRequest,
    KeyRefused,
    MissingKey,
    OtherService,
    PartlyFailed,
    ProxyUnreachable,
    ServiceError,
    ServiceRefused,
    ServiceUnreachable,
    StillRunning,
    SubmitUnconfirmed,
    TooManyRequests,
    UnknownGeneration,
)
from flux_nodes.core.generation import Generation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCEPTED = Generation(
    id="g-a",
    door="comfyui",
    service="https://api.apiframe.pro",
    fingerprint="",
    request={"model": "flux-pro-1.1", "prompt": "a field"},
    status="running",
    created_at=NOW,
    updated_at=NOW,
    task_id="t-a",
    credits=1.0,
)
MODERATED = replace(ACCEPTED, status="failed", message="Request Moderated")
SENDING = Run(sends=True, generations=[replace(ACCEPTED, status="intent", task_id=None)])
WAITING = Run(sends=True, generations=[ACCEPTED])
ANEW = replace(WAITING, fresh=True)
FETCHING = Run(generations=[ACCEPTED])
SENDING_FAILED = Run(sends=True, generations=[MODERATED])


def failed(id_: str = "g-a") -> GenerationFailed:
    return GenerationFailed(f'Generation {id_} failed at the service: "no"', generation_id=id_, task_id="t-a")


def unpaid(error: ServiceError) -> ServiceError:
    error.unpaid = True
    return error


def refused(status: int, words: str) -> ServiceRefused:
    return ServiceRefused(f'The service refused the request ({status}): "{words}"', status=status, messages=[words])


def told(error: FluxNodesError, run: Run) -> str:
    raised = guided(error, run)
    assert type(raised) is type(error)
    assert "  " not in str(raised)
    return str(raised)


def test_a_failure_at_the_service_begins_with_its_words_and_says_what_it_may_have_cost_and_what_another_run_does() -> (
    None
):
    words = told(failed(), SENDING_FAILED)
    assert words.startswith('The service says "Request Moderated". This may have cost 1 credit')
    assert words.index("unknown") < words.index("pays again") < words.index("change the prompt")


@pytest.mark.parametrize(
    ("error", "message"),
    [(failed(), "so much " * 200), (unpaid(refused(400, "so much " * 200)), None)],
    ids=["failed", "refused"],
)
def test_of_long_words_of_the_service_the_end_is_left_out_and_never_the_money(
    error: FluxNodesError, message: str | None
) -> None:
    words = told(error, Run(sends=True, generations=[replace(MODERATED, message=message)]))
    assert '…".' in words
    assert "may have cost 1 credit" in words or "Nothing was paid" in words
    assert len(words) < 700


def test_a_failure_on_the_sandbox_cost_nothing() -> None:
    words = told(failed(), Run(sends=True, generations=[replace(MODERATED, service="sandbox")]))
    assert "Nothing was paid" in words
    assert "may have cost" not in words


def test_a_failure_that_is_fetched_is_not_said_to_be_sent_by_another_run() -> None:
    words = told(failed(), Run(generations=[MODERATED]))
    assert "may have cost 1 credit" in words
    assert "sends" not in words


UNREACHABLE = "The service at https://api.apiframe.pro could not be reached: no connection."


@pytest.mark.parametrize(
    ("error", "begins", "says"),
    [
        (
            refused(400, "width: too small"),
            'The service refused it (400): "width: too small". Nothing was paid.',
            "run",
        ),
        (refused(400, "You have no credits left"), "The service refused it (400)", "Settings → Flux Nodes"),
        (KeyRefused("login", status=401), "The service does not know the API key", "Settings → Flux Nodes"),
        (TooManyRequests("Fewer (429).", status=429), "Fewer (429). Nothing was paid.", "Wait"),
        (ServiceUnreachable(UNREACHABLE), "The service does not answer. Nothing was paid. Check", "no connection"),
        (ProxyUnreachable(UNREACHABLE), "The service does not answer. Nothing was paid. Check", "no connection"),
        (ConnectionRejected(UNREACHABLE), "The service does not answer. Nothing was paid. Check", "no connection"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_service_did_not_take_was_not_paid_and_the_way_out_is_named(
    error: ServiceError, begins: str, says: str
) -> None:
    words = told(unpaid(error), SENDING)
    assert words.startswith(begins)
    assert "Nothing was paid" in words
    assert says in words


def while_waiting() -> dict[str, FluxNodesError]:
    lost = f"{UNREACHABLE} Generation g-a is not lost: collect it with `flux-nodes wait g-a`."
    late = "Too slow. Generation g-a is paid: `flux-nodes wait g-a` asks again, free."
    return {
        "refused": refused(400, "no"),
        "key": KeyRefused("login", status=401),
        "unreachable": ServiceUnreachable(lost),
        "image": ImageUnavailable(late, generation_id="g-a"),
        "late": StillRunning(["g-a"]),
    }


@pytest.mark.parametrize("kind", while_waiting())
@pytest.mark.parametrize("run", [WAITING, ANEW, FETCHING], ids=["waiting", "anew", "fetching"])
def test_what_goes_on_is_not_lost_and_a_run_that_pays_again_is_not_advised(kind: str, run: Run) -> None:
    words = told(while_waiting()[kind], run)
    assert "not lost" in words
    assert "Nothing was paid" not in words
    assert ("run again, or Collect" in words) != run.fresh
    assert ("pays again" in words) == run.fresh


def test_what_is_collected_in_the_background_is_not_said_to_be_run_again() -> None:
    words = told(StillRunning(["g-a"]), replace(FETCHING, alone=True))
    assert "Collect in the FLUX sidebar" in words
    assert "run" not in words.partition("Still running")[2]


def test_no_key_leads_to_the_settings() -> None:
    words = told(MissingKey("Set it with `flux-nodes login`."), Run(sends=True))
    assert words.startswith("No API key is set. Nothing was paid. Store one in Settings → Flux Nodes")
    assert "sandbox" in words


def test_a_budget_names_the_amounts_and_how_to_raise_it() -> None:
    words = told(BudgetReached(spent=9, cost=2, budget=10), Run(sends=True))
    assert words.startswith("The day's budget is reached: 10 credits")
    assert all(part in words for part in ("9 are spent", "costs 2", "Nothing was paid", "FLUX_NODES_BUDGET"))


def test_faults_come_first_and_all_of_them() -> None:
    faults = [Fault("width", "9 is too small", "256 to 1440"), Fault("prompt", "it is empty")]
    words = told(InvalidRequest(faults), Run(sends=True))
    assert words == ("width: 9 is too small. Allowed: 256 to 1440. prompt: it is empty. Nothing was paid.")


@pytest.mark.parametrize(
    ("service", "set_to", "says"),
    [
        ("sandbox", "https://api.apiframe.pro", "Switch it on in Settings"),
        ("https://api.apiframe.pro", "sandbox", "Switch it off in Settings"),
        ("https://mine", "https://api.apiframe.pro", "APIFRAME_BASE_URL=https://mine"),
    ],
)
def test_another_service_is_reached_by_the_switch_where_there_is_one(service: str, set_to: str, says: str) -> None:
    words = told(OtherService("g-a", service=service, set_to=set_to), FETCHING)
    assert words.startswith("g-a ")
    assert says in words


def test_an_unknown_id_is_had_from_the_sidebar() -> None:
    words = told(UnknownGeneration("There is no generation 'x' in the journal; see `flux-nodes list`."), Run())
    assert words.startswith("There is no generation 'x' in the journal. ")
    assert "sidebar" in words


def test_a_lost_answer_says_that_it_may_be_paid_and_what_another_run_does() -> None:
    lost = "No answer. `flux-nodes status g-a` tells what can be done."
    words = told(SubmitUnconfirmed(lost, generation_id="g-a"), SENDING)
    assert words.startswith("The service's answer was lost: this may have cost 1 credit, or nothing.")
    assert "does not send it again" in words
    anew = told(SubmitUnconfirmed(lost, generation_id="g-a"), replace(SENDING, fresh=True))
    assert "again sends it again" in anew


def test_what_is_held_back_because_an_earlier_answer_was_lost_says_that_nothing_was_sent_now() -> None:
    words = told(SubmitUnconfirmed("before; `flux-nodes retry g-b`", generation_id="g-b"), Run(sends=True))
    assert "g-b" in words
    assert "Nothing was sent now" in words


def test_of_several_each_reason_is_said_once_with_all_that_it_is_about() -> None:
    failures = {"seed 7": failed(), "seed 8": failed("g-b"), "seed 9": unpaid(KeyRefused("login", status=401))}
    run = replace(SENDING_FAILED, generations=[MODERATED, replace(MODERATED, id="g-b")])
    words = told(PartlyFailed(failures, stored=["g-c"]), run)
    assert words.startswith('3 of 4 failed · seed 7, seed 8: The service says "Request Moderated". This may have cost')
    assert "seed 9: The service does not know the API key (401). Nothing was paid." in words
    assert words.endswith(
        "The others are kept: g-c. Running this graph again gives the others free, and sends and pays only what is "
        "missing."
    )
    assert words.count("Moderated") == 1
    assert "pays for all of them" in told(PartlyFailed(failures, stored=["g-c"]), replace(run, fresh=True))


def test_nothing_is_said_for_a_terminal_or_that_opens_comfyuis_own_sign_in() -> None:
    every = [
        MissingKey("Store it with `flux-nodes login`; or use the sandbox (`--sandbox`)."),
        KeyRefused("Store it anew with `flux-nodes login`.", status=401),
        StillRunning(["g-a"]),
        BudgetReached(spent=1, cost=1, budget=1),
        OtherService("g-a", service="sandbox", set_to="https://api.apiframe.pro"),
        SubmitUnconfirmed("Lost. `flux-nodes status g-a` tells.", generation_id="g-a"),
    ]
    for error in every:
        words = told(error, WAITING)
        for stranger in ("flux-nodes ", "--sandbox", "Unauthorized", "login", "Payment Required"):
            assert stranger not in words


def test_an_error_that_is_not_ours_is_left_alone() -> None:
    error = ValueError("theirs")
    assert guided(error, Run()) is error
    assert str(error) == "theirs"
