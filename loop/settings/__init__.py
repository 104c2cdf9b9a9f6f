"""The one loader of settings: configs/default.yaml, under the user's file, under ASKANCE_… variables.

The typed model holds no defaults: every field is required and configs/default.yaml provides it, with its unit and
reason. A variable names a key with `__` between the levels (ASKANCE_SERVER__PORT is server.port). Whatever cannot
be used is reported at once, each with its key, its source and what was expected, as one `SettingsError`.

Relative paths (data_dir, and folders given as blobs.url or mlflow.artifact_root) are relative to the working
directory when the settings are loaded; the loaded settings hold absolute ones.

This is the door: everything is imported from here, and the parts only by each other.
"""

from loop.settings.loading import DEFAULTS, OTHER_VARIABLES, load_settings
from loop.settings.model_options import MODEL_OPTIONS, changed_options, serving_of, without_effect
from loop.settings.serving import ServingSettings
from loop.settings.whole import KEYS, Settings

__all__ = [
    "DEFAULTS",
    "KEYS",
    "MODEL_OPTIONS",
    "OTHER_VARIABLES",
    "ServingSettings",
    "Settings",
    "changed_options",
    "load_settings",
    "serving_of",
    "without_effect",
]
