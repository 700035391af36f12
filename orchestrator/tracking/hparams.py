"""TensorBoard's HPARAMS table, as the summaries that its plugin reads.

The plugin takes its columns from one experiment summary, whichever it finds first. So every training writes the same
one, with all columns, and the table is whole wherever TensorBoard is opened: on one search or on all runs.
"""

from __future__ import annotations

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

from orchestrator.recipe.search_space import SETTINGS, described
from orchestrator.tracking.names import ACCURACY, LOSS, Value

# By name: the column's meaning, and whether it is a number.
COLUMNS = {
    **{setting.name: (described(field), setting.is_number) for field, setting in SETTINGS.items()},
    "steps": ("steps of the training", True),
    "kind": ("trial of a search, or final student", False),
    "method": ("how the student is taught", False),
    "seed": ("seed of the training", True),
}
# TensorBoard shows five columns at first, those that differ. These five have a value for every
# training; a training without a value in a column that is shown is left out of the plots.
SHOWN = ("family", "a", "b", "mode", "kd_weight")


def experiment() -> Summary:
    """The table's columns: hyper-parameters, then the metrics."""
    columns = [
        api_pb2.HParamInfo(
            name=name, description=meaning, differs=name in SHOWN,
            type=api_pb2.DATA_TYPE_FLOAT64 if number else api_pb2.DATA_TYPE_STRING,
        )
        for name, (meaning, number) in COLUMNS.items()
    ]  # fmt: skip
    metrics = [
        api_pb2.MetricInfo(
            name=api_pb2.MetricName(tag=scalar.tag), display_name=title, description=scalar.meaning,
            dataset_type=api_pb2.DATASET_VALIDATION,
        )
        for scalar, title in ((ACCURACY, "validation accuracy"), (LOSS, "validation loss"))
    ]  # fmt: skip
    about = api_pb2.Experiment(hparam_infos=columns, metric_infos=metrics)
    return _summary("experiment", HParamsPluginData(experiment=about))


def session_start(values: dict[str, Value], when: float) -> Summary:
    """A training's row of the table; ``when`` it began, in Unix seconds."""
    start = SessionStartInfo(start_time_secs=when)
    for name, value in values.items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        else:
            start.hparams[name].number_value = value
    return _summary("session_start_info", HParamsPluginData(session_start_info=start))


def session_end(well: bool, when: float) -> Summary:
    """Returns the summary of the end of a training."""
    status = api_pb2.STATUS_SUCCESS if well else api_pb2.STATUS_FAILURE
    return _summary(
        "session_end_info", HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=when))
    )


def _summary(what: str, data: HParamsPluginData) -> Summary:
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
    return Summary(value=[Summary.Value(tag=f"_hparams_/{what}", metadata=SummaryMetadata(plugin_data=plugin))])
