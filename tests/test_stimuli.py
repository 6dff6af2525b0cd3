"""The stimulus table and its key rule, on the columns that real data sets bring."""

from __future__ import annotations

import hashlib
import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurodnn import DataWarning, InputError
from neurodnn.bids import read_tsv
from neurodnn.stimuli import match_stimuli, read_stimuli, stimulus_key


@pytest.fixture
def folder(tmp_path):
    """A function that fills a folder with files, the content of each its own name."""

    def fill(*names, table=None):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        if table is not None:
            (tmp_path / "stimuli.tsv").write_text(table)
        return tmp_path

    return fill


def events(**columns):
    return pd.DataFrame(columns)


# ---------------------------------------------------------------- the key rule


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ("meg/u032.bmp", "u032"),
        ("FUNC\\U032.BMP", "u032"),
        ("imagenet/n03131574/n03131574_8247.JPEG", "n03131574_8247"),
        ("n03131574_8247", "n03131574_8247"),
        ("coco/000000124419.jpg", "000000124419"),
        ("25149.0", "25149"),
        (25149.0, "25149"),
        (25149, "25149"),
        ("01", "01"),
        (" a.png ", "a"),
        ("face_0.7", "face_0.7"),
        ("face_0.7.png", "face_0.7"),
        ("Straße.PNG", "strasse"),
        (unicodedata.normalize("NFD", "é.jpg"), "é"),
        ("folder/", "folder"),
    ],
)
def test_rule_name(value, key):
    assert stimulus_key(value) == key


@pytest.mark.parametrize(
    ("value", "rule", "key"),
    [
        ("a/B.png", "path", "a/B.png"),
        ("./a//B.png", "path", "a/B.png"),
        ("a\\B.png", "path", "a/B.png"),
        (" a/B.png ", "id", "a/B.png"),
        ("25149.0", "id", "25149"),
        ("25149.5", "id", "25149.5"),
        ("Face", "id", "Face"),
        (unicodedata.normalize("NFD", "é"), "id", "é"),
    ],
)
def test_other_rules(value, rule, key):
    assert stimulus_key(value, rule) == key


def test_key_of_nothing_and_unknown_rule_are_refused():
    for value in ("", "  ", "."):
        with pytest.raises(InputError, match="stimulus: has no key by the rule 'path'"):
            stimulus_key(value, "path")
    with pytest.raises(InputError, match="stimulus-key='nme' is not known.*Did you mean name"):
        stimulus_key("a", "nme")


@given(st.text(min_size=1, max_size=12))
def test_key_does_not_depend_on_unicode_form_or_folder(text):
    try:
        key = stimulus_key(text)
    except InputError:
        return
    if "/" not in text and "\\" not in text:
        assert stimulus_key("any/folder/" + text.strip()) == key
    assert stimulus_key(unicodedata.normalize("NFD", text)) == key


# ---------------------------------------------------------------- the table


def test_folder_without_table_is_listed_below_and_sorted(folder):
    root = folder("b/B.JPEG", "a.png", "._a.png", ".hidden/c.png", "b/d.webp")
    table = read_stimuli(root)
    assert table.columns.tolist() == ["stimulus", "path", "sha256"]
    assert table["stimulus"].tolist() == ["a", "b", "d"]
    assert table["path"].tolist() == ["a.png", "b/B.JPEG", "b/d.webp"]
    assert table["sha256"].tolist() == [
        hashlib.sha256(name.encode()).hexdigest() for name in table["path"]
    ]


def test_files_that_are_no_images_are_left_out_with_a_warning(folder):
    with pytest.warns(DataWarning, match=r"no images were left out \(2\): a.svg, b.txt"):
        table = read_stimuli(folder("c.png", "a.svg", "b.txt"))
    assert table["stimulus"].tolist() == ["c"]


def test_empty_folder(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds no image \(allowed: \.png"):
        read_stimuli(tmp_path)
    with pytest.raises(InputError, match="stimuli.tsv: holds no stimulus|holds no stimulus"):
        read_stimuli(folder(table="stimulus_id\tpath\n"))


def test_table_beside_the_images(folder):
    text = "stimulus_id\tpath\tcategory\n007\tx/B.png\tface\n08\ta.png\tn/a\n"
    root = folder("x/B.png", "a.png", "unlisted.png", table=text)
    for source in (root, root / "stimuli.tsv"):
        table = read_stimuli(source)
        assert table["stimulus"].tolist() == ["a", "b"]
        assert table["stimulus_id"].tolist() == ["08", "007"]
        assert table["category"].iloc[1] == "face"
        assert pd.isna(table["category"].iloc[0])
    assert read_stimuli(root, key="id")["stimulus"].tolist() == ["007", "08"]
    assert read_stimuli(root, key="path")["stimulus"].tolist() == ["a.png", "x/B.png"]
    assert "sha256" not in read_stimuli(root, checksums=False).columns


def test_table_that_names_no_files(folder):
    table = read_stimuli(folder(table="stimulus_id\nB\na\n"))
    assert table["stimulus"].tolist() == ["a", "b"]
    assert table["path"].isna().all()


def test_table_made_on_windows(folder):
    root = folder("x/a.png", table="stimulus_id\tpath\n1\tx\\a.png\n")
    assert read_stimuli(root)["path"].tolist() == ["x/a.png"]


def test_links_out_of_the_folder_are_found_among_many(folder, tmp_path_factory):
    root = folder("x/a.png", "x/b.png", "y/a2.png")
    outside = tmp_path_factory.mktemp("outside") / "c.png"
    outside.write_bytes(b"x")
    (root / "x" / "c.png").symlink_to(outside)
    with pytest.raises(InputError, match="c.png: is a link out of the data set"):
        read_stimuli(root)
    paths = read_stimuli(root, follow_external_links=True)["path"].tolist()
    assert paths == ["x/a.png", "y/a2.png", "x/b.png", "x/c.png"]


def test_folder_that_leads_out_is_not_trusted_for_one_good_file(folder, tmp_path_factory):
    root = folder("a.png", table="stimulus_id\tpath\n1\tx/a.png\n2\tx/b.png\n")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.png").symlink_to(root / "a.png")
    (outside / "b.png").write_bytes(b"x")
    (root / "x").symlink_to(outside)
    with pytest.raises(InputError, match="b.png: is a link out of the data set"):
        read_stimuli(root)


@pytest.mark.parametrize("path", ["x/..", "x/../../p.png", "x/none.png", "x/", "x/\\..\\a.png"])
def test_second_path_of_a_folder_is_looked_at_as_the_first(folder, path):
    root = folder("x/a.png", table=f"stimulus_id\tpath\n1\tx/a.png\n2\t{path}\n")
    with pytest.raises(InputError, match="missing|leads out|is not a file"):
        read_stimuli(root, key="path")


def test_paths_of_one_file_are_spelled_one_way(folder):
    text = "stimulus_id\tpath\n1\t./x/a.png\n2\t./x/b.png\n3\tx/../x/c.png\n"
    root = folder("x/a.png", "x/b.png", "x/c.png", table=text)
    assert read_stimuli(root, key="id")["path"].tolist() == ["x/a.png", "x/b.png", "x/c.png"]


def test_order_of_the_table_does_not_matter(folder):
    rows = ["1\ta.png\n", "2\tb.png\n", "3\tc.png\n"]
    root = folder("a.png", "b.png", "c.png", table="stimulus_id\tpath\n" + "".join(rows))
    first = read_stimuli(root)
    (root / "stimuli.tsv").write_text("stimulus_id\tpath\n" + "".join(reversed(rows)))
    pd.testing.assert_frame_equal(first, read_stimuli(root))


@pytest.mark.parametrize(
    ("files", "key", "words"),
    [
        (("a/01.jpg", "b/01.jpg"), "name", "a/01.jpg, b/01.jpg have one key '01'.*key path"),
        (("a.jpg", "a.png"), "name", "a.jpg, a.png have one key 'a'.*--stimulus-key path"),
        (("a.jpg", "A.jpg"), "name", "A.jpg, a.jpg have one key 'a'"),
    ],
)
def test_b43_b53_two_files_of_one_key_are_refused(folder, files, key, words):
    root = folder(*files)
    with pytest.raises(InputError, match=words):
        read_stimuli(root, key=key)
    assert len(read_stimuli(root, key="path")) == 2


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ("stimulus_id\tpath\n1\ta.png\n1\tb.png\n", "id", "a.png, b.png have one key '1'"),
        ("stimulus_id\tpath\n1\ta.png\n2\ta.png\n", "path", "have one key 'a.png'.*Remove one"),
        ("path\na.png\n", "id", "no column 'stimulus_id' .allowed: path"),
        ("name\na.png\n", "name", "neither a column of paths nor stimulus_id .allowed: name"),
        ("stimulus_id\tpath\n1\tn/a\n", "name", "column 'path' is empty in data row 1"),
        ("stimulus_id\tpath\n1\tnone.png\n", "name", "none.png: the stimulus file is missing"),
        ("stimulus_id\tpath\n1\t../../etc/passwd\n", "name", "leads out of its folder"),
        ("stimulus_id\tpath\n1\tfile:///etc/passwd\n", "id", "is a URL or network path"),
    ],
)
def test_tables_that_cannot_be_used(folder, table, key, words):
    with pytest.raises(InputError, match=words):
        read_stimuli(folder("a.png", "b.png", table=table), key=key)


def test_content_of_an_annexed_image_is_missing(folder):
    root = folder("a.png")
    (root / "b.png").symlink_to(".git/annex/objects/K.png")
    assert len(read_stimuli(root, checksums=False)) == 2
    with pytest.raises(InputError, match=r"b\.png: dangling link.*datalad get"):
        read_stimuli(root)


# ---------------------------------------------------------------- matching


NOD = ["n03131574_8247", "n01440764_10074"]


@pytest.mark.parametrize(
    ("columns", "names", "options", "matched"),
    [
        # ds000117, MEG and fMRI: other folders, other case of the type
        ({"stim_file": ["meg/u032.bmp", "meg/f001.bmp"]}, ["f001", "u032"], {}, 2),
        ({"stim_file": ["func/u032.bmp", "func/F001.bmp"]}, ["f001", "u032"], {}, 2),
        # ds004496: trial_type holds class numbers; coco in `condition`
        ({"trial_type": ["1", "2"],
          "stim_file": ["imagenet/n03131574/n03131574_8247.JPEG"] * 2}, NOD, {}, 1),
        ({"condition": ["coco/000000124419.jpg", "n/a"]}, ["000000124419"], {}, 1),
        # ds004192: catch trials name no image
        ({"file_path": ["hammock/hammock_06s.jpg", np.nan],
          "trial_type": ["exp", "catch"]}, ["hammock_06s"], {}, 1),
        # ds004212: numbers written with a gap's .0, through a table
        ({"value": ["25149.0", "3", "999999"]}, ["hammock_06s.jpg", "cat_1"],
         {"column": "value",
          "table": events(value=["25149", "3"], stimulus_id=["Hammock_06s", "cat_1"])}, 2),
        ({"value": [25149.0, 3.0]}, ["25149", "3"], {"column": "value", "key": "id"}, 2),
        # names of a reference RDM keep their spelling
        ({"image": ["A.PNG", "b.png"]}, ["A.png", "B"], {}, 2),
        ({"stim_id": ["x/A.PNG"]}, ["x/A.PNG", "y/A.PNG"], {"key": "path"}, 1),
    ],
)  # fmt: skip
def test_columns_of_real_data_sets(columns, names, options, matched):
    keys, report = match_stimuli(events(**columns), names, **options)
    assert len(report.matched) == matched
    assert set(report.matched) <= set(names)
    assert set(keys.dropna()) == set(report.matched)
    assert len(report.only_in_table) == len(names) - matched


def test_columns_are_tried_in_order_and_empty_ones_passed_over():
    table = events(image=["a"], condition=["b"], stim_file=["n/a"], stim_id=["c"])
    assert match_stimuli(table, ["a", "b", "c"])[1].column == "stim_id"
    assert match_stimuli(table, ["a", "b", "c"], column="image")[0].tolist() == ["a"]


def test_report_counts_and_names():
    table = events(stim_file=["a.png", "b.png", "a.png", "x.png", np.nan, ""])
    table.index = [10, 11, 12, 13, 14, 15]
    keys, report = match_stimuli(table, ["a", "b", "c", "d"])
    assert keys.index.tolist() == table.index.tolist()
    assert [None if pd.isna(key) else key for key in keys] == ["a", "b", "a", None, None, None]
    assert report.lines() == [
        "stimuli: 2 matched of 3 in the events and 4 in the stimulus table "
        "(column 'stim_file', key rule 'name'; 3 of 6 rows)",
        "  only in the events: x.png",
        "  only in the stimulus table: c, d",
    ]
    assert report.to_dict() == {
        "Column": "stim_file", "KeyRule": "name", "Matched": 2, "InEvents": 3, "InTable": 4,
        "OnlyInEvents": ["x.png"], "OnlyInTable": ["c", "d"]}  # fmt: skip
    _, long = match_stimuli(table, [*"ab", *map(str, range(30))])
    assert len(long.to_dict()["OnlyInTable"]) == 20


def test_table_made_by_read_stimuli_meets_ids_through_codes(folder):
    text = "stimulus_id\tpath\nS1\tx.png\nS2\ty.png\n"
    stimuli = read_stimuli(folder("x.png", "y.png", table=text))
    codes = folder(**{}) / "codes.tsv"
    codes.write_text("code\tstimulus_id\n1\tS1\n2\tS2\n2\tS2\n")
    keys, _ = match_stimuli(events(value=["2", "1.0"]), stimuli, column="value", table=codes)
    assert keys.tolist() == ["y", "x"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (events(code=["1"]), "stimulus-table: has no column 'stimulus_id'"),
        (events(stimulus_id=["1"]), "no column of codes beside stimulus_id"),
        (events(code=["1", "1.0"], stimulus_id=["a", "b"]), "the code '1' has two stimuli"),
    ],
)
def test_tables_of_codes_that_cannot_be_used(table, words):
    with pytest.raises(InputError, match=words):
        match_stimuli(events(value=["1"]), ["a", "b"], column="value", table=table)


def test_nothing_matched_shows_five_of_each_side_and_the_rule():
    shown = [f"face_{number}.png" for number in range(7)]
    known = [f"house_{number}" for number in range(9)]
    with pytest.raises(InputError) as caught:
        match_stimuli(events(stim_file=shown), known)
    text = str(caught.value)
    assert "column 'stim_file' by the rule 'name'" in text
    assert "face_0.png, face_1.png, face_2.png, face_3.png, face_4.png and 2 more" in text
    assert "house_0, house_1, house_2, house_3, house_4 and 4 more" in text
    assert "--stimulus-key" in text


def test_nothing_matched_points_to_the_column_that_would():
    table = events(onset=["1", "2"], stim_file=["x1", "x2"], trial_type=["a", "b"])
    with pytest.raises(InputError, match="Try --stimulus-column trial_type"):
        match_stimuli(table, ["a", "b", "1", "2"])
    with pytest.raises(InputError, match="Did you mean face_03"):
        match_stimuli(events(stim_file=["face_3.png"]), ["face_03"])


def test_b41_b44_what_is_missing_is_listed():
    with pytest.raises(InputError, match="none of the columns.*onset, trial_type.*Give --stim"):
        match_stimuli(events(onset=["1"], trial_type=["a"]), ["a"])
    with pytest.raises(InputError, match="Try --stimulus-column trial_type"):
        match_stimuli(events(onset=["1", "2"], trial_type=["a", "b"]), ["a", "b", "1", "2"])
    with pytest.raises(InputError, match="no column 'stimfile'.*Did you mean stim_file"):
        match_stimuli(events(stim_file=["a"]), ["a"], column="stimfile")
    with pytest.raises(InputError, match="min-stimuli: .*1 matched of 2.*only in the events: b"):
        match_stimuli(events(stim_file=["a", "b"]), ["a", "c"], min_stimuli=2)
    assert match_stimuli(events(stim_file=["a", "b"]), ["a", "b"], min_stimuli=2)
    with pytest.raises(InputError, match="the events|no cell"):
        match_stimuli(events(stim_file=["n/a"]), ["a"], column="stim_file")


def test_two_names_of_one_key_on_the_stimulus_side_are_refused():
    with pytest.raises(InputError, match="'A' and 'a' have one key 'a'|'a' and 'A' have one key"):
        match_stimuli(events(stim_file=["a"]), ["A", "a"])
    assert match_stimuli(events(stim_file=["a"]), ["A", "a"], key="id")[0].tolist() == ["a"]


def test_real_haxby_events_meet_their_categories(real_data):
    paths = sorted(real_data("fmri_haxby2001").rglob("bold_events.tsv"))
    table = pd.concat([read_tsv(path) for path in paths], ignore_index=True)
    column = next(name for name in table.columns if name not in ("onset", "duration"))
    names = sorted(table[column].dropna().unique())
    keys, report = match_stimuli(table, names, column=column)
    assert len(report.matched) == len(names)
    assert keys.notna().sum() == report.n_rows_matched


def test_two_images_that_count_as_one_stimulus_are_told():
    events = pd.DataFrame({"stim_file": ["faces/01.png", "houses/01.png", "faces/02.PNG"]})
    with pytest.warns(DataWarning, match="faces/01.png, houses/01.png are '01'"):
        keys, _ = match_stimuli(events, ["01", "02"])
    assert keys.tolist() == ["01", "01", "02"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        match_stimuli(pd.DataFrame({"stim_file": ["a/1.png", "a/1.PNG"]}), ["1"])
