"""The steering page: change a recipe with its plan beside it, start, stop, prune, submit.

Everything needs a session (``sessions``). What changes the workspace is done by the command that
does it in a terminal (``commands``); the rest reads.
"""

import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from yoyak import messages
from yoyak.config import load
from yoyak.config.project import Project
from yoyak.config.schema import Recipe
from yoyak.config.setting_info import SettingInfo, describe
from yoyak.errors import YoyakError
from yoyak.events import RunStatus
from yoyak.planning import gpu_catalogue
from yoyak.planning.disk_estimate import peak_gb
from yoyak.planning.model_shapes import KnownModel, look_up, shape_of
from yoyak.planning.plan import plan_known, target_here
from yoyak.report.model.report import TOY
from yoyak.report.sections.format import score
from yoyak.runs.run import Run
from yoyak.runs.workspace import Workspace
from yoyak.submission.ledger import quota, readable_ledger
from yoyak.submission.submit import ready_candidates
from yoyak.values import Corpus, Severity, Value
from yoyak.web.commands import Action, Commands, CommandState, ResumeRun, StartRun
from yoyak.web.form_page import form_page
from yoyak.web.responses import Body, in_thread, json_response, read_json, response
from yoyak.web.sessions import Sessions

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    from yoyak.data.contest import Contest
    from yoyak.ensemble.candidates import Candidate

MOST_BYTES = 200_000
HERE = ""
"""The GPU of this machine, among those to plan for."""


class SteerContext(NamedTuple):
    """What commands in this folder work on.

    ``workspace_option`` is ``--workspace FOLDER`` where a terminal would need it.
    """

    project: Project
    corpus: Callable[[], Corpus]
    contest: "Callable[[], Contest]"
    workspace_option: tuple[str, ...] = ()


class _SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class _Key(msgspec.Struct, frozen=True):
    key: str


class _Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _WantedRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``gpu`` is a name of the catalogue to plan for, or empty for the one here."""

    recipe: str
    sets: tuple[str, ...] = ()
    gpu: str = HERE


class _Act(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: Action


class RecipeForm(Value, frozen=True, kw_only=True):
    """Every setting of a recipe."""

    settings: tuple[SettingInfo, ...]


class PlanFigures(Value, frozen=True, kw_only=True):
    """What a run of the recipe would take; ``None`` where nothing states it."""

    command: str
    problem: str | None = None
    """Why the settings are no recipe."""
    refusals: tuple[str, ...] = ()
    """Why the run would not be started."""
    notes: tuple[str, ...] = ()
    gpu: str | None = None
    gpu_gb: float | None = None
    rows: int | None = None
    steps: int | None = None
    low_minutes: float | None = None
    high_minutes: float | None = None
    training_gb: float | None = None
    generation_gb: float | None = None
    disk_gb: float | None = None
    """The most that it adds at any moment, its download included."""
    disk_free_gb: float | None = None


class RunRow(Value, frozen=True, kw_only=True):
    """A run, and which actions fit it now."""

    run: str
    recipe: str
    label: str
    step: int
    steps: int | None
    actions: tuple[str, ...]


class CheckItem(Value, frozen=True, kw_only=True):
    """A line of the checklist before a submission: in order, to be looked at, or in the way."""

    level: str
    text: str


class SubmitForm(Value, frozen=True, kw_only=True):
    """The systems that can be submitted, the best first, and the checklist."""

    systems: tuple[str, ...]
    checklist: tuple[CheckItem, ...]


class SteerPage:
    """The page and what its script asks for.

    Args:
        workspace: what is steered.
        context: data, settings and contest of the folder.
        sessions: who may.
        before_run: called before a run is started, to free memory for it.
    """

    def __init__(
        self,
        workspace: Workspace,
        context: SteerContext,
        sessions: Sessions,
        before_run: Callable[[], None] = lambda: None,
    ) -> None:
        self._workspace = workspace
        self._context = context
        self._sessions = sessions
        self._before_run = before_run
        self._commands = Commands(workspace, context.workspace_option)
        self._models: dict[Any, KnownModel] = {}
        self._alone = threading.Lock()

    def routes(self) -> "list[BaseRoute]":
        """Return the routes of the page; all but the page itself and signing in need a session."""
        from starlette.routing import Route

        posts: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/api/recipe": self._answer(_WantedRecipe, self.form),
            "/api/plan": self._answer(_WantedRecipe, self.plan),
            "/api/runs": self._answer(_Nothing, lambda _: self.runs()),
            "/api/checklist": self._answer(_Nothing, lambda _: self.checklist()),
            "/api/commands": self._answer(_Nothing, lambda _: self._commands.states()),
            "/api/commands/start": self._answer(_Act, lambda posted: self._start(posted.action)),
        }
        return [
            Route("/steer", self._page),
            Route("/api/session", self._sign_in, methods=["POST"]),
            *(Route(path, handler, methods=["POST"]) for path, handler in posts.items()),
        ]

    # --- requests --------------------------------------------------------------------------------

    async def _page(self, _: "Request") -> "Response":
        return response(await in_thread(self._render))

    def _render(self) -> str:
        return form_page(
            "steer",
            recipes=sorted({*load.names(), *self._context.project.recipes}),
            chosen=runs[-1].identity.recipe if (runs := self._workspace.runs()) else None,
            gpus=sorted(gpu_catalogue.GPUS),
        )

    async def _sign_in(self, request: "Request") -> "Response":
        posted = await read_json(request, _SignIn, MOST_BYTES)
        cookie, key = self._sessions.sign_in(request, posted.token)
        answer = json_response(_Key(key=key))
        self._sessions.set_cookie(answer, cookie)
        return answer

    def _answer(
        self, kind: type[Body], work: Callable[[Body], object]
    ) -> "Callable[[Request], Awaitable[Response]]":
        """Return a handler that requires a session and answers a JSON body with JSON."""

        async def handler(request: "Request") -> "Response":
            self._sessions.require(request)
            posted = await read_json(request, kind, MOST_BYTES)
            return json_response(await in_thread(lambda: work(posted)))

        return handler

    def _start(self, action: Action) -> CommandState:
        if isinstance(action, StartRun | ResumeRun):
            self._before_run()
        return self._commands.start(action)

    # --- a recipe and its plan -------------------------------------------------------------------

    def form(self, wanted: _WantedRecipe) -> RecipeForm:
        """Return the settings of a recipe in this folder.

        Raises:
            BadRecipe: there is no such recipe, or a setting is wrong.
        """
        return RecipeForm(settings=describe(self._resolve(wanted)))

    def _resolve(self, wanted: _WantedRecipe) -> load.Resolved:
        return load.resolve(wanted.recipe, project=self._context.project.layers, sets=wanted.sets)

    def plan(self, wanted: _WantedRecipe) -> PlanFigures:
        """Return what a run would take; settings that are no recipe are a part of the answer."""
        command = self._commands.shown(StartRun(recipe=wanted.recipe, sets=wanted.sets))
        try:
            recipe = self._resolve(wanted).recipe
            with self._alone:  # who types fast asks again before the first answer is there
                return self._planned(recipe, wanted.gpu, command)
        except YoyakError as error:
            return PlanFigures(command=command, problem=str(error))

    def _planned(self, recipe: Recipe, gpu_name: str, command: str) -> PlanFigures:
        here = next(iter(gpu_catalogue.installed_gpus()), None)
        gpu = here if gpu_name == HERE else gpu_catalogue.find_spec(gpu_name)
        target = target_here(self._workspace, self._context.project.limits, gpu)
        target = target._replace(elsewhere=gpu_name != HERE)
        made = plan_known([self._known(recipe)], self._context.corpus(), target)
        (one,) = made.recipes
        return PlanFigures(
            command=command,
            refusals=tuple(str(each.error) for each in made.refusals),
            notes=tuple(str(each.error) for each in made.notes),
            gpu=None if gpu is None else gpu.name,
            gpu_gb=None if gpu is None else gpu.memory_gb,
            rows=None if one.work is None else one.work.rows,
            steps=None if one.work is None else one.work.steps,
            low_minutes=None if one.time is None else one.time.low_seconds / 60,
            high_minutes=None if one.time is None else one.time.high_seconds / 60,
            training_gb=None if one.training is None else one.training.total_gb,
            generation_gb=None if one.generation is None else one.generation.total_gb,
            disk_gb=peak_gb(made.disk),
            disk_free_gb=target.disk_free_gb,
        )

    def _known(self, recipe: Recipe) -> KnownModel:
        """Return what is known of the recipe's model; each base is inspected once a server."""
        key = (recipe.engine, recipe.model)
        if key not in self._models:
            (self._models[key],) = look_up([recipe])
        facts = self._models[key].facts
        shape = shape_of(recipe, None if facts is None else facts.config)
        return KnownModel(recipe, facts, shape)

    # --- runs and submissions --------------------------------------------------------------------

    def runs(self) -> tuple[RunRow, ...]:
        """Return the runs of the workspace, the newest first."""
        return tuple(_row(run) for run in reversed(self._workspace.runs()))

    def checklist(self) -> SubmitForm:
        """Return what can be submitted, and what to look at before.

        Raises:
            YoyakError: the data cannot be read.
        """
        found = ready_candidates(self._workspace, self._context.corpus())
        items = [_check("ok" if found.ready else "bad", "ready", systems=_named(found.ready))]
        for key, left in (("stale", found.stale), ("unanswered", found.unanswered)):
            items += [_check("watch", key, systems=_named(left))] if left else []
        for best in found.ready[:1]:
            items += _about_best(best)
        items.append(self._uploads())
        systems = dict.fromkeys(each.lineage.system for each in found.ready)
        return SubmitForm(systems=tuple(systems), checklist=tuple(items))

    def _uploads(self) -> CheckItem:
        contest = self._context.contest()
        entries, _ = readable_ledger(self._workspace.ledger_path)
        today = quota(entries, contest)
        if today is None:
            return _check("watch", "no-quota")
        return _check("ok" if today.left else "bad", "quota", left=today.left, used=today.used)


_ACTIONS = {
    RunStatus.RUNNING: ("stop",),
    RunStatus.QUEUED: ("prioritise", "resume"),
    RunStatus.INTERRUPTED: ("resume",),
    RunStatus.STOPPED: ("resume",),
    RunStatus.FAILED: ("resume",),
}


def _row(run: Run) -> RunRow:
    state = run.state()
    return RunRow(
        run=run.name,
        recipe=run.identity.recipe,
        label=messages.text(f"report.status-{state.status.value}"),
        step=state.step,
        steps=None if state.prepared is None else state.prepared.steps,
        actions=_ACTIONS.get(state.status, ()),
    )


def _check(level: str, key: str, **fields: object) -> CheckItem:
    return CheckItem(level=level, text=messages.text(f"pages.check-{key}", **fields))


def _named(found: "tuple[Candidate, ...]") -> str:
    return messages.listed(list(dict.fromkeys(each.lineage.system for each in found))) or "–"


def _about_best(best: "Candidate") -> list[CheckItem]:
    """Return the score of the best candidate, its alarms, and whether it is a toy."""
    card = best.card
    items = [_check("ok", "best", system=best.lineage.system, mean=score(card.rouge.mean))]
    for alarm in card.alarms:
        level = "bad" if alarm.severity is Severity.ERROR else "watch"
        items.append(CheckItem(level=level, text=alarm.sentence))
    if not card.alarms:
        items.append(_check("ok", "no-alarm"))
    if best.recipe is not None and best.recipe.model.scratch is not None:
        items.append(_check("watch", "toy", mark=TOY))
    return items
