"""BIDS names: round trips, refused labels, labels made of layer names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurodnn import InputError
from neurodnn.bids import bids_label, build_name, check_label, check_unique_labels, parse_name
from neurodnn.bids.names import ENTITY_ORDER, LONG_NAMES

labels = st.text("aZ09+", min_size=1, max_size=4)
names = st.builds(
    lambda entities, suffix, extension: {**entities, "suffix": suffix, "extension": extension},
    st.dictionaries(st.sampled_from(ENTITY_ORDER), labels, max_size=8),
    st.sampled_from(["bold", "statmap", "T1w"]),
    st.sampled_from([".nii.gz", ".json", ".func.gii", ".h5"]),
)


@given(names)
def test_build_and_parse_are_inverse(entities):
    name = build_name(entities)
    assert parse_name(f"any/folder/{name}") == entities
    assert build_name(dict(reversed(parse_name(name).items()))) == name


@pytest.mark.parametrize(
    "name",
    [
        "sub-01_task-T_space-S_res-2_model-a_layer-b_stat-rho_desc-searchlight_statmap.nii.gz",
        "sub-01_task-T_hemi-L_space-fsaverage5_model-a_layer-b_stat-rho_desc-x_statmap.func.gii",
        "sub-01_task-T_seg-V1_desc-roi_rdm.h5",
        "task-T_space-S_model-a_layer-b_stat-t_desc-searchlight_statmap.nii.gz",
        "model-a_layer-b_rdm.h5",
        "sub-01_ses-2_task-T_acq-x_run-1_echo-1_part-mag_bold.nii.gz",
    ],
)
def test_names_of_the_output_tree_stand_in_this_order(name):
    assert build_name(parse_name(name)) == name


def test_long_names_and_absent_entities():
    given_ = {"subject": "01", "session": None, "resolution": "2", "suffix": "mask",
              "extension": ".nii.gz"}  # fmt: skip
    assert build_name(given_) == "sub-01_res-2_mask.nii.gz"
    assert set(LONG_NAMES.values()) <= set(ENTITY_ORDER)


@pytest.mark.parametrize(
    "label", ["../x", "a/b", "a_b", "a-b", "", "é", "a b", "a\n", "a\0", "٣", None, 1]
)
def test_s21_labels_that_could_climb_or_break_a_name_are_refused(label):
    with pytest.raises(InputError, match="sub-: is not a valid BIDS label.*letters, digits"):
        check_label("sub", label)
    if label is not None:
        with pytest.raises(InputError, match="not a valid BIDS label"):
            build_name({"sub": label, "suffix": "bold", "extension": ".nii.gz"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layr": "a"}, "'layr' is not known.*Did you mean layer"),
        ({"zzzzzzz": "a"}, "'zzzzzzz' is not known"),
        ({"suffix": None}, "suffix-: is not a valid"),
        ({"extension": None}, "extension: is not valid"),
        ({"extension": "nii"}, "extension: is not valid"),
        ({"extension": "./../x"}, "extension: is not valid"),
    ],
)
def test_what_cannot_be_built_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        build_name({"sub": "01", "suffix": "bold", "extension": ".nii.gz", **change})


@pytest.mark.parametrize(
    "name", ["sub-01_bold_x_bold.nii", "sub-_bold.nii", "sub-01_sub-02_bold.nii", "Sub-01_x.nii",
             "sub-a-b_bold.nii"]
)  # fmt: skip
def test_what_is_no_bids_name_is_refused(name):
    with pytest.raises(InputError, match=re.escape(name) + ": is not a BIDS name: the part"):
        parse_name(name)


@given(st.text(max_size=20))
def test_every_label_is_safe(text):
    try:
        label = bids_label(text)
    except InputError:
        assert not re.search(r"[A-Za-z0-9]", text)
    else:
        assert check_label("layer", label) == label
        assert bids_label(label) == label


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("layer1.0.conv1", "layer10Conv1"),
        ("my_model.py:build", "myModelPyBuild"),
        ("Gyrus frontalis é", "GyrusFrontalisE"),
        ("features.12", "features12"),
    ],
)
def test_label_of_text(text, label):
    assert bids_label(text) == label


def test_two_names_of_one_file_are_refused():
    for names_ in (["layer1.0", "layer10"], ["a.b", "a_b"], ["conv", "Conv"]):
        with pytest.raises(InputError, match=f"'{names_[0]}' and '{names_[1]}' would share"):
            check_unique_labels(names_)
    assert check_unique_labels(["a", "a"]) == {"a": "a"}
