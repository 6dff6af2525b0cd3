"""Which option shapes which workflow; what the command line and neurodnn.toml make of them."""

from __future__ import annotations

import pytest

from neurodnn._checks import InputError
from neurodnn.cli.arguments import app_parser, with_dashes
from neurodnn.pipeline.config import make_config
from neurodnn.pipeline.config_checks import baseline_span
from neurodnn.pipeline.options import OPTIONS, SUBJECT_WORKFLOWS
from neurodnn.pipeline.provenance import fields_of
from neurodnn.pipeline.toml import to_toml

# What ParameterHash of fMRI held before there was MEG: results of that time must still be skipped.
OF_FMRI = """
network weights activation layers layer_metric reference_rdms image_transform metric compare noise
nuisance_rdms nuisance_order semi_partial radius min_share dtype session_label task_id run_id space
bids_filter_file derivatives stimuli stimulus_column stimulus_key stimulus_table min_stimuli
confounds hrf noise_model estimate label_permutations tail random_seed device
""".split()
OF_MEG = {
    "sensors", "tmin", "tmax", "baseline", "low_pass", "resample", "bad_channels", "time_window",
    "time_step", "meg_metric",
}  # fmt: skip
OF_TIMES = {"meg_noise", "pseudo_trials", "decoding_repeats", "sensor_radius"}
OF_SOURCES = {"source_radius", "source_method", "snr"}


def test_options_of_meg_never_enter_the_hash_of_fmri_and_the_other_way_round():
    times, source = fields_of("meg_timecourse"), fields_of("meg_source_searchlight")
    assert fields_of("fmri_searchlight") == OF_FMRI
    assert set(times) - set(source) == OF_TIMES
    assert set(source) - set(times) == OF_SOURCES
    shared = set(times) & set(source) - OF_MEG
    assert OF_MEG <= set(times)
    assert shared <= set(OF_FMRI)
    alone = {"metric", "noise", "radius", "min_share", "confounds", "hrf", "space", "tail"}
    assert not alone & set(times)


def test_every_option_shapes_known_workflows_only():
    for option in OPTIONS:
        assert set(option.shapes) <= set(SUBJECT_WORKFLOWS), option.name


def test_a_baseline_that_begins_before_zero_is_no_option():
    words = with_dashes(["b", "o", "participant", "--baseline", "-0.1:0", "--tmin", "-0.2"])
    space = app_parser().parse_args(words)
    config = make_config("b", "o", given={"baseline": space.baseline, "tmin": space.tmin})
    assert baseline_span(config) == (-0.1, 0.0)
    assert config.tmin == -0.2


@pytest.mark.parametrize(("text", "span"), [("none", None), ("start:0", (None, 0.0))])
def test_baselines_in_words(text, span):
    assert baseline_span(make_config("b", "o", given={"baseline": text})) == span


@pytest.mark.parametrize("text", ["0:-0.1", "nan:0", "0.1", "a:b", "-0.1:0.9"])
def test_baselines_outside_the_epoch_or_without_sense_are_refused(text):
    with pytest.raises(InputError, match="--baseline: is"):
        make_config("b", "o", given={"baseline": text})


def test_options_go_to_toml_and_back(tmp_path):
    given = {"workflow": ["meg_timecourse"], "tmin": -0.2, "meg-metric": "decoding",
             "derivatives": ["mne=d"], "low-pass": 40, "snr": 2}  # fmt: skip
    config = make_config(tmp_path / "b", tmp_path / "o", given=given)
    folder = tmp_path / "o" / "logs" / "run"
    folder.mkdir(parents=True)
    (folder / "neurodnn.toml").write_text(to_toml(config))
    again = make_config(tmp_path / "b", tmp_path / "o",
                        given={"config-file": folder / "neurodnn.toml"})  # fmt: skip
    for name in ("workflow", "tmin", "meg_metric", "derivatives", "low_pass", "snr", "baseline"):
        assert getattr(again, name) == getattr(config, name), name


def test_an_unknown_workflow_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean meg_timecourse"):
        make_config("b", "o", given={"workflow": ["meg_timecours"]})
