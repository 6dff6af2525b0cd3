"""Finding subjects, sessions, files, sidecars in data sets as they are. Ids as in the design."""

from __future__ import annotations

import json
import re

import pytest

from neurodnn import DataWarning, InputError
from neurodnn.bids import (
    bids_uri,
    find_bids_files,
    find_derivatives,
    find_sessions,
    find_subjects,
    inherited_fields,
    parse_name,
    read_sidecar,
    relative_path,
    resolve_inside,
)


@pytest.fixture
def make(tmp_path):
    """Make empty files (and their folders), or files with a JSON object, and return the root."""

    def make(*names, **contents):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            else:
                path.touch()
        for name, content in contents.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return make


def found(*arguments, **options):
    return [path.name for path in find_bids_files(*arguments, **options)]


# ---------------------------------------------------------------- subjects


def test_subjects_are_folders_without_emptyroom_and_mac_copies(make):
    root = make("sub-02/", "sub-10/", "sub-01/", "sub-emptyroom/", "._sub-03/", "sub-04.html",
                "sourcedata/sub-05/", "code/")  # fmt: skip
    assert find_subjects(root) == ["01", "02", "10"]
    assert find_subjects(root, wanted=["sub-10", "01", "10"]) == ["01", "10"]


def test_subjects_are_those_of_participants_where_there_is_a_list(make):
    table = "participant_id\tage\nsub-01\t20\nsub-03\t30\n"
    root = make("sub-01/", "sub-02/", **{"participants.tsv": table})
    with pytest.warns(DataWarning, match="participants.tsv does not list 02; left out"):
        assert find_subjects(root) == ["01"]


def test_folder_that_is_no_subject_is_skipped_with_a_warning(make):
    root = make("sub-01/", "sub-01_old/")
    with pytest.warns(DataWarning, match="sub-01_old: skipped"):
        assert find_subjects(root) == ["01"]


def test_b46_no_subject(make):
    with pytest.raises(InputError, match=r"holds no subject \(sub-\*\)\. Give the folder"):
        find_subjects(make("func/"))
    with pytest.raises(InputError, match="cannot be read as a folder: No such file"):
        find_subjects(make() / "none")


@pytest.mark.parametrize(
    ("files", "table", "words"),
    [
        (["sub-1/", "sub-01/"], None, "sub-01 and sub-1 may be the same subject.*Rename"),
        (["sub-01/"], "sub-1\n", "sub-01 and sub-1 may be the same"),
        (["sub-01/"], "sub-01\nsub-01\n", "participants.tsv: lists sub-01 twice"),
    ],
)
def test_b48_subject_twice(make, files, table, words):
    contents = {} if table is None else {"participants.tsv": "participant_id\n" + table}
    with pytest.raises(InputError, match=words):
        find_subjects(make(*files, **contents))


def test_wrong_label_lists_those_there(make):
    root = make("sub-01/", "sub-02/", "sub-anna/")
    for wanted, near in (("1", "01"), ("sub-anne", "anna"), ("77", None)):
        tail = f" Did you mean {near}" if near else "$"
        words = rf"no such subject .*allowed: 01, 02, anna\)\.{tail}"
        with pytest.raises(InputError, match=words):
            find_subjects(root, wanted=["01", wanted])


def test_sessions_are_each_subjects_own(make):
    root = make("sub-01/ses-mri/", "sub-01/ses-meg/", "sub-02/func/")
    assert find_sessions(root, "01") == ["meg", "mri"]
    assert find_sessions(root, "sub-02") == []


# ---------------------------------------------------------------- files


@pytest.fixture
def fmriprep(make):
    stem = "sub-01/func/sub-01_task-T_run-{}_space-{}{}_desc-{}.nii.gz"
    files = [
        stem.format(run, space, res, desc)
        for run in ("1", "2", "10")
        for space in ("MNI", "T1w")
        for res in ("", "_res-2")
        for desc in ("preproc_bold", "brain_mask")
    ]
    return make(
        *files,
        "sub-01/func/sub-01_task-T_run-1_hemi-L_space-fsaverage5_bold.func.gii",
        "sub-01/func/sub-01_task-T_run-1_hemi-L_space-fsLR_den-91k_bold.func.gii",
        "sub-01/func/._sub-01_task-T_run-1_space-MNI_desc-preproc_bold.nii.gz",
        "sub-01/func/notes.txt",
        "sub-01/func/sub-01_notes of the day_bold.nii.gz",
        "sub-01/anat/sub-01_space-MNI_desc-brain_mask.nii.gz",
        "sub-02/ses-a/func/sub-02_ses-a_task-T_run-01_bold.nii.gz",
        "sub-02/ses-b/func/sub-02_ses-b_task-U_bold.nii.gz",
        "sub-02/sub-02_task-T_stat-effect_statmap.nii.gz",
    )


def test_filters(fmriprep):
    bold = {"suffix": "bold", "extension": ".nii.gz", "datatype": "func"}
    runs = found(fmriprep, subject="01", **bold, filters={"space": "MNI", "res": None})
    assert [parse_name(name)["run"] for name in runs] == ["1", "2", "10"]
    assert found(fmriprep, subject="sub-01", **bold, filters={"space": "MNI", "resolution": "2",
                 "run": ["01", "10"]}) == [
        "sub-01_task-T_run-1_space-MNI_res-2_desc-preproc_bold.nii.gz",
        "sub-01_task-T_run-10_space-MNI_res-2_desc-preproc_bold.nii.gz"]  # fmt: skip
    assert found(fmriprep, filters={"hemi": "L", "den": "91k"}) == [
        "sub-01_task-T_run-1_hemi-L_space-fsLR_den-91k_bold.func.gii"]  # fmt: skip
    assert found(fmriprep, suffix="mask", datatype="anat") == [
        "sub-01_space-MNI_desc-brain_mask.nii.gz"]  # fmt: skip
    assert found(fmriprep, suffix="mask", filters={"datatype": "anat"}) == [
        "sub-01_space-MNI_desc-brain_mask.nii.gz"]  # fmt: skip
    assert found(fmriprep, filters={"session": "b"}) == ["sub-02_ses-b_task-U_bold.nii.gz"]
    assert found(fmriprep, filters={"stat": "effect"}) == [
        "sub-02_task-T_stat-effect_statmap.nii.gz"]  # fmt: skip
    assert found(fmriprep, extension=[".func.gii"], filters={"space": ["fsLR", "MNI"]}) == [
        "sub-01_task-T_run-1_hemi-L_space-fsLR_den-91k_bold.func.gii"]  # fmt: skip


def test_all_files_without_hidden_ones_and_strangers(fmriprep):
    names = found(fmriprep)
    assert len(names) == 24 + 2 + 1 + 3
    assert not [name for name in names if name.startswith((".", "notes"))]


def test_nothing_found_is_an_empty_list_and_a_wrong_entity_an_error(fmriprep):
    assert found(fmriprep, subject="77") == []
    assert found(fmriprep, filters={"space": "none"}) == []
    with pytest.raises(InputError, match="filters: 'sesion' is no entity.*Did you mean ses"):
        found(fmriprep, filters={"sesion": "a"})
    with pytest.raises(InputError, match="sub-: is not a valid BIDS label"):
        found(fmriprep, subject="../sub-01")


def test_derivatives_of_old_fmriprep_stand_one_level_down(make):
    root = make("fmriprep/sub-01/")
    assert find_derivatives(root) == root / "fmriprep"
    assert find_derivatives(root / "fmriprep") == root / "fmriprep"
    with pytest.raises(InputError, match="holds no sub-\\* folders"):
        find_derivatives(root / "fmriprep" / "sub-01")


# ---------------------------------------------------------------- sidecars


def test_sidecars_are_merged_and_the_nearest_wins(make):
    name = "sub-01/ses-a/func/sub-01_ses-a_task-T_run-1_bold"
    root = make(
        f"{name}.nii.gz",
        "._bold.json",
        "notes.json",
        "two_words_bold.json",
        **{
            "bold.json": {"RepetitionTime": 1, "EchoTime": 1, "Root": 1},
            "task-T_bold.json": {"RepetitionTime": 2, "EchoTime": 2, "Task": 2},
            "task-U_bold.json": {"RepetitionTime": 9, "Wrong": True},
            "task-T_events.json": {"RepetitionTime": 9, "Wrong": True},
            "sub-01/sub-01_task-T_bold.json": {"RepetitionTime": 3, "EchoTime": 3},
            "sub-01/ses-a/func/sub-01_ses-a_task-T_run-2_bold.json": {"RepetitionTime": 9},
            f"{name}.json": {"RepetitionTime": 4},
        },
    )
    assert read_sidecar(root / f"{name}.nii.gz", root) == {
        "RepetitionTime": 4, "EchoTime": 3, "Task": 2, "Root": 1}  # fmt: skip


def test_in_one_folder_the_more_specific_sidecar_wins(make):
    root = make(
        **{
            "acq-x_task-T_bold.json": {"RepetitionTime": 2},
            "task-T_bold.json": {"RepetitionTime": 1, "EchoTime": 1},
        }
    )
    path = root / "sub-01" / "func" / "sub-01_task-T_acq-x_bold.nii.gz"
    assert read_sidecar(path, root) == {"RepetitionTime": 2, "EchoTime": 1}


def test_sidecar_that_cannot_be_read_is_named(make):
    root = make("sub-01/func/sub-01_task-T_bold.nii.gz", **{"task-T_bold.json": "{"})
    with pytest.raises(InputError, match=r"task-T_bold\.json: is not valid JSON"):
        read_sidecar(root / "sub-01/func/sub-01_task-T_bold.nii.gz", root)
    with pytest.raises(InputError, match="is not inside the data set"):
        read_sidecar(root / "sub-01_bold.nii.gz", root / "sub-01")


def test_no_personal_field_passes_from_input_to_output():
    canaries = ("PatientName", "PatientID", "PatientBirthDate", "InstitutionName", "Operator",
                "DeviceSerialNumber", "AcquisitionTime", "StationName")  # fmt: skip
    fields = {**dict.fromkeys(canaries, "x"), "RepetitionTime": 2, "Resolution": "2 mm"}
    assert inherited_fields(fields) == {"RepetitionTime": 2, "Resolution": "2 mm"}


# ---------------------------------------------------------------- paths out of tables


@pytest.mark.parametrize(
    "value",
    ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "file:/etc/passwd",
     "https://host/a.png", "a.png\0.txt", "\\\\host\\share\\a.png", "//host/share/a.png",
     "a/../../b.png", "", "C:/a.png"],
)  # fmt: skip
def test_s20_paths_that_leave_the_folder_are_refused(tmp_path, value):
    with pytest.raises(InputError, match="path: (is empty|is a URL|leads out)"):
        resolve_inside(value, tmp_path)


def test_s20_paths_inside_pass(tmp_path, monkeypatch):
    assert resolve_inside("a/../b.png", tmp_path).resolve() == tmp_path.resolve() / "b.png"
    assert resolve_inside(tmp_path / "b.png", tmp_path) == tmp_path / "b.png"
    other = tmp_path.parent / "other"
    assert resolve_inside(other / "b.png", tmp_path, allowed=[other]) == other / "b.png"
    # Relative to the table's folder, wherever we stand.
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert resolve_inside("b.png", "..").resolve() == tmp_path.resolve() / "b.png"
    # A folder whose name begins with the root's is not inside it.
    with pytest.raises(InputError, match="leads out"):
        resolve_inside(f"../{tmp_path.name}_evil/a.png", tmp_path)


def test_s22_annex_links_pass_and_links_out_do_not(make, tmp_path_factory):
    name = "sub-01/func/sub-01_task-T_bold.nii.gz"
    root = make("sub-01/func/x", ".git/annex/objects/K")
    (root / name).symlink_to("../../.git/annex/objects/K")
    assert found(root, suffix="bold") == ["sub-01_task-T_bold.nii.gz"]
    link = root.parent / f"{root.name}-link"
    link.symlink_to(root)
    assert found(link, suffix="bold") == ["sub-01_task-T_bold.nii.gz"]
    outside = tmp_path_factory.mktemp("outside") / "a.nii.gz"
    outside.touch()
    (root / name).unlink()
    (root / name).symlink_to(outside)
    with pytest.raises(InputError, match=f"{re.escape(name)}: is a link out.*--follow-external"):
        find_bids_files(root)
    assert found(root, suffix="bold", follow_external_links=True)


def test_uris_name_the_deepest_source(tmp_path):
    links = {"raw": tmp_path, "fmriprep": tmp_path / "derivatives" / "fmriprep"}
    deep = tmp_path / "derivatives" / "fmriprep" / "sub-01" / "a.nii.gz"
    assert bids_uri(deep, links) == "bids:fmriprep:sub-01/a.nii.gz"
    assert bids_uri(tmp_path / "sub-01" / "a.nii.gz", links) == "bids:raw:sub-01/a.nii.gz"
    with pytest.raises(InputError, match="in no source data set .*fmriprep, raw"):
        bids_uri(tmp_path.parent / "a.nii.gz", links)
    assert relative_path(tmp_path / "x", tmp_path / "y" / "z") == "../../x"
