"""Options: defaults, neurodnn.toml, the command line, and what may leave this machine."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from neurodnn import InputError
from neurodnn.pipeline.config import Config, make_config, option_value
from neurodnn.pipeline.logs import Scrubber
from neurodnn.pipeline.options import BY_FIELD
from neurodnn.pipeline.toml import to_toml


def test_the_table_of_options_and_the_class_agree():
    fields = {f.name: f.default for f in dataclasses.fields(Config)}
    places = {"bids_dir", "output_dir", "level"}
    assert set(fields) - places == set(BY_FIELD)
    for name, option in BY_FIELD.items():
        default = Path(option.default) if option.name == "work-dir" else option.default
        assert fields[name] == default, name


def test_command_line_wins_over_file_and_file_over_default(tmp_path):
    file = tmp_path / "neurodnn.toml"
    file.write_text('radius = 6\nmetric = "euclidean"\nn_cpus = 2\ntask-id = ["a", "b"]\n')
    config = make_config(tmp_path / "b", tmp_path / "o",
                         given={"config-file": str(file), "radius": "5"})  # fmt: skip
    assert (config.radius, config.metric, config.n_cpus) == (5.0, "euclidean", 2)
    assert config.task_id == ("a", "b")
    assert config.compare == "spearman"


def test_options_of_the_inference_come_from_a_file_as_numbers_and_lists(tmp_path):
    file = tmp_path / "neurodnn.toml"
    file.write_text(
        'connectivity = 26\ninference = ["tfce", "fdr"]\ntfce-step = 0.1\nsemi-partial = true\n'
        'nuisance-rdms = ["a.csv"]\ncontrast = ["x - y"]\nlabel-permutations = 0\n'
    )
    config = make_config("b", "o", "group", {"config-file": str(file)})
    assert (config.connectivity, config.tfce_step, config.label_permutations) == (26, 0.1, 0)
    assert config.inference == ("tfce", "fdr")
    assert config.nuisance_rdms == (tmp_path / "a.csv",)
    assert config.contrast == ("x - y",)


def test_paths_of_a_file_are_relative_to_the_file(tmp_path):
    (tmp_path / "conf").mkdir()
    file = tmp_path / "conf" / "x.toml"
    file.write_text('stimuli = "../pictures"\n[derivatives]\nbetas = "../betas"\n')
    config = make_config("b", "o", given={"config_file": file})
    assert config.stimuli == tmp_path / "pictures"
    assert config.derivatives == (("betas", tmp_path / "betas"),)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("radus = 3", "x.toml: 'radus' is not an option. Did you mean radius?"),
        ("radius = [1]", "x.toml: radius: must be a number"),
        ("radius = true", "x.toml: radius: must be a number"),
        ("n-cpus = 1.5", "x.toml: n-cpus: must be a whole number"),
        ("n-cpus = 0", "x.toml: n-cpus: is not a valid number"),
        ("connectivity = 8", "connectivity='8' is not known. Choose from: 18, 26, 6"),
        ('inference = ["tcfe"]', "Did you mean tfce?"),
        ("cluster-threshold = 0", "cluster-threshold: is not a valid number"),
        ("label-permutations = 19", "--label-permutations: is too small"),
        ("overwrite = 1", "x.toml: overwrite: must be true or false"),
        ("layers = {a = 1}", "x.toml: layers: must be a list of texts"),
        ("network = ''", "must be a text that is not empty"),
        ("radius = ", "x.toml: is not valid TOML"),
        ("radius = \"\ud800\"", "is not valid TOML"),
        ("#" * 1_000_001, "is larger than 1 MB"),
    ],
)
def test_faulty_file_is_named_with_key_and_remedy(tmp_path, text, match):
    file = tmp_path / "x.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=match.replace("(", r"\(")):
        make_config("b", "o", given={"config-file": file})


def test_resolved_options_can_be_fed_back(tmp_path):
    given = {
        "layers": ["features.2", 'a "b"\\c\n'], "radius": 4.5, "derivatives": ["betas=d"],
        "reference-rdms": ["x.csv"], "overwrite": True, "min-stimuli": 7, "task-id": ["T"],
    }  # fmt: skip
    config = make_config(tmp_path / "b", tmp_path / "o", given=given)
    folder = tmp_path / "o" / "logs" / "run"
    folder.mkdir(parents=True)
    (folder / "neurodnn.toml").write_text(to_toml(config))
    again = make_config(tmp_path / "b", tmp_path / "o",
                        given={"config-file": folder / "neurodnn.toml"})  # fmt: skip
    assert dataclasses.replace(again, config_file=None) == config


def test_work_folder_and_data_set_stay_outside_the_output(tmp_path):
    with pytest.raises(InputError, match="work-dir: lies inside OUTPUT_DIR"):
        make_config(tmp_path / "b", tmp_path / "o", given={"work-dir": tmp_path / "o" / "w"})
    with pytest.raises(InputError, match="BIDS_DIR: lies inside OUTPUT_DIR"):
        make_config(tmp_path / "o" / "b", tmp_path / "o")
    # the usual place of derivatives
    make_config(tmp_path / "b", tmp_path / "b" / "derivatives" / "neurodnn")


def test_options_with_paths_are_told_without_the_machines_folders(tmp_path):
    config = make_config(
        tmp_path / "b", tmp_path / "o",
        given={"reference-rdms": [tmp_path / "secret" / "x.csv"], "stimuli": tmp_path / "b" / "s",
               "network": f"torchvision:alexnet@{tmp_path}/secret/w.pth",
               "derivatives": [f"betas={tmp_path}/secret/betas"]},
    )  # fmt: skip
    told = [option_value(config, field) for field in BY_FIELD if field != "work_dir"]
    assert "secret" not in str(told)
    assert option_value(config, "stimuli") == "s"
    assert option_value(config, "network") == "torchvision:alexnet@w.pth"


def test_scrubber_removes_folders_host_and_user(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "janedoe")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "janedoe"))
    monkeypatch.setattr("socket.gethostname", lambda: "lab-pc-7")
    config = make_config(tmp_path / "b", tmp_path / "b" / "out",
                         given={"derivatives": [f"betas={tmp_path}/d"]})  # fmt: skip
    scrub = Scrubber(config)
    text = f"{tmp_path}/b/sub-01: {tmp_path}/b/out/x {tmp_path}/d/y ~ {tmp_path}/home/janedoe/z"
    text += " locked on lab-pc-7 by janedoe"
    assert scrub(text) == (
        "BIDS_DIR/sub-01: OUTPUT_DIR/x BETAS/y ~ ~/z locked on HOST by USER"
    )
    assert scrub(f"{tmp_path}/bids-other") == f"{tmp_path}/bids-other"


def test_deleted_working_folder_does_not_matter_for_absolute_paths(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    before = Path.cwd()
    os.chdir(gone)
    gone.rmdir()
    try:
        assert make_config("/data/b", "/data/o").bids_dir == Path("/data/b")
    finally:
        os.chdir(before)
