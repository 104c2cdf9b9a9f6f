"""Custom functions: what is installed, buttons, calls."""

from collections.abc import Sequence

from serving.api.schemas.functions import ActionOut, CallOut, FunctionHistoryOut, FunctionsOut, InstalledFunctionsOut
from serving.api.schemas.shapes import ShapeIO
from serving.client.calls import Call, get, method, path, post


class FunctionCalls:
    @method
    def functions_installed(self) -> Call[InstalledFunctionsOut]:
        return get(InstalledFunctionsOut, path("functions"))

    @method
    def functions(self, project: str) -> Call[FunctionsOut]:
        """Those with a button."""
        return get(FunctionsOut, path("projects", project, "functions"))

    @method
    def press(
        self, task_id: str, name: str, epoch: int, shapes: Sequence[ShapeIO], selected: Sequence[str] = ()
    ) -> Call[ActionOut]:
        """What a function makes of these shapes."""
        plain = [shape.model_dump(mode="json") for shape in shapes]
        body = {"epoch": epoch, "shapes": plain, "selected": list(selected)}
        return post(ActionOut, path("tasks", task_id, "actions", name), body)

    @method
    def function_runs(self, project: str, limit: int = 50) -> Call[FunctionHistoryOut]:
        return get(FunctionHistoryOut, path("projects", project, "functions", "runs"), limit=limit)

    @method
    def call_function(self, project: str, name: str, item_digest: str) -> Call[CallOut]:
        """Run it on an item; `function_call` tells what came of it."""
        return post(CallOut, path("projects", project, "functions", name, "calls"), {"item_digest": item_digest})

    @method
    def function_call(self, project: str, call_id: str) -> Call[CallOut]:
        return get(CallOut, path("projects", project, "functions", "calls", call_id))
